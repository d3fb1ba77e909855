package flow

import (
	"slices"
	"time"

	"github.com/usher-access/usher/core/people"
)

// stand lets delegates act in the place of the step's assignees, as far as they
// may. Those of people who aren't asked any more stand for nobody.
func (r *Run) stand(step Step, c *Course, more []Delegate) {
	var standing []Delegate
	for _, d := range slices.Concat(c.Delegates, more) {
		same := func(other Delegate) bool { return other.For == d.For }
		if r.mayStand(step, c, d) && !slices.ContainsFunc(standing, same) {
			standing = append(standing, d)
		}
	}
	c.Delegates = standing
}

// mayStand reports whether the delegate may act in somebody's place on the step.
// The requester never does, and nobody for the requester where that is a decision.
func (r *Run) mayStand(step Step, c *Course, d Delegate) bool {
	return d.To != d.For && d.To != r.Requester && slices.Contains(c.Assignees, d.For) &&
		(step.Approval == nil || d.For != r.Requester) && !slices.Contains(r.Excluded(step), d.To)
}

// seat returns in whose place a person acts on a step that asks people: empty for
// their own, and nobody's for whom that is over. The error is a *Refusal when they
// may not, or when they or somebody in the same place did before.
func (r *Run) seat(step Step, c *Course, by people.ID, over []people.ID, now time.Time) (people.ID, error) {
	if refusal := r.refuses(step, by); refusal != nil {
		return "", refusal
	}
	if before, acted := c.Act(by); acted {
		return "", &Refusal{Why: AlreadyActed, Act: before}
	}
	if slices.Contains(c.Assignees, by) {
		if before, heard := c.heard(by); heard {
			return "", &Refusal{Why: AlreadyHeard, Act: before}
		}
		return "", nil
	}
	refusal := &Refusal{Why: NotAsked, Kind: step.Kind()}
	for _, d := range c.Delegates {
		if d.To != by || slices.Contains(over, d.For) || !d.Until.IsZero() && !now.Before(d.Until) {
			continue
		}
		before, heard := c.heard(d.For)
		if !heard {
			return d.For, nil
		}
		refusal = &Refusal{Why: AlreadyHeard, Act: before}
	}
	return "", refusal
}

func (r *Run) delegate(e Delegated) []Change {
	step, i, open := r.Open()
	if !open || r.State != Pending {
		return nil
	}
	c := &r.Steps[i]
	before := slices.IndexFunc(c.Delegates, func(d Delegate) bool { return d.For == e.For })
	wanted := Delegate(e)
	var changes []Change
	if before >= 0 {
		if now := c.Delegates[before]; now.To == wanted.To && now.Until.Equal(wanted.Until) {
			return nil
		}
		ended := Change{Kind: ChangeUndelegated, Step: step.ID, By: e.For, People: []people.ID{c.Delegates[before].To}}
		c.Delegates = slices.Delete(slices.Clone(c.Delegates), before, before+1)
		changes = append(changes, ended)
	}
	if e.To != "" && r.mayStand(step, c, wanted) {
		c.Delegates = append(slices.Clip(c.Delegates), wanted)
		changes = append(changes, Change{Kind: ChangeDelegated, Step: step.ID, By: e.For, People: []people.ID{e.To}})
	}
	return changes
}
