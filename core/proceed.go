package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// proceed opens or skips the steps that the run has come to, until one is open
// or the run has ended.
func (s *Service) proceed(ctx context.Context, tx Tx, r *Request, changes *[]flow.Change, now time.Time) error {
	for {
		step, ok := r.Run.Next()
		if !ok {
			return nil
		}
		reached, err := s.reach(ctx, tx, *r, step, now)
		if err != nil {
			return fmt.Errorf("reach step %s of %s: %w", step.ID, r.ID, err)
		}
		run, more, err := flow.Advance(r.Run, reached, now)
		if err != nil {
			return fmt.Errorf("open step %s of %s: %w", step.ID, r.ID, err)
		}
		r.Run = run
		*changes = append(*changes, more...)
	}
}

// lookup answers what an open step needs to know of one request, at one moment.
type lookup struct {
	service *Service
	tx      Tx
	request Request
	now     time.Time
	facts   func(ctx context.Context) (flow.Facts, error) // read when they are first needed
}

func (s *Service) look(tx Tx, r Request, now time.Time) *lookup {
	l := &lookup{service: s, tx: tx, request: r, now: now}
	var read *flow.Facts
	l.facts = func(ctx context.Context) (flow.Facts, error) {
		if read != nil {
			return *read, nil
		}
		facts, err := s.facts(ctx, tx, r, now)
		if err == nil {
			read = &facts
		}
		return facts, err
	}
	return l
}

// reach finds out whether a step's condition holds, whether rules decide it,
// and who is asked. A condition that can't be evaluated holds: what guards
// access is never skipped by mistake.
func (s *Service) reach(ctx context.Context, tx Tx, r Request, step flow.Step, now time.Time) (flow.Reached, error) {
	l := s.look(tx, r, now)
	reached := flow.Reached{Step: step.ID}
	if step.When != nil {
		facts, err := l.facts(ctx)
		if err != nil {
			return reached, err
		}
		if holds, err := s.rules.Holds(*step.When, facts); err == nil && !holds {
			reached.Skip = "its condition does not hold"
			return reached, nil
		}
	}
	switch {
	case step.Timer != nil:
		return reached, nil
	case !step.Asks():
		if s.provisioners[step.Action.Kind] == nil {
			reached.Failed = whyByHand(*step.Action)
		}
		return reached, nil
	}
	var err error
	if reached.Auto, err = l.verdict(ctx, step); err != nil || reached.Auto != nil {
		return reached, err
	}
	return reached, l.ask(ctx, step, &reached)
}

// ask finds out who is asked to act on the step.
func (l *lookup) ask(ctx context.Context, step flow.Step, reached *flow.Reached) error {
	wanted, needed := selectorsOf(step)
	asked, err := l.find(ctx, step, wanted)
	if err != nil {
		return err
	}
	if len(asked) == 0 {
		if reached.Self, err = l.self(ctx, step); err != nil {
			return err
		}
		if reached.Self {
			asked = []people.ID{l.request.Requester}
		}
	}
	if fallback := fallbackOf(step); len(asked) < needed && len(fallback) > 0 {
		wanted = slices.Concat(wanted, fallback)
		if asked, err = l.find(ctx, step, wanted); err != nil {
			return err
		}
	}
	switch {
	case len(asked) > people.MaxAsked:
		reached.Why = fmt.Sprintf("%s finds %d people, and a step can ask at most %d", list(wanted), len(asked), people.MaxAsked)
		return nil
	case len(wanted) == 0:
		reached.Why = "nobody is named for it"
	case len(asked) == 0:
		reached.Why = "nobody was found for " + list(wanted)
	case len(asked) < needed:
		reached.Why = fmt.Sprintf("%d must approve, and %d was found for %s", needed, len(asked), list(wanted))
	}
	reached.Assignees = asked
	reached.Delegates, err = delegatesOf(ctx, l.tx, asked, l.now)
	return err
}

// self reports whether the step is an approval that names the requester alone,
// where the settings allow them to decide it.
func (l *lookup) self(ctx context.Context, step flow.Step) (bool, error) {
	a := step.Approval
	if a == nil || len(a.Approvers) != 1 || a.Approvers[0].Kind != people.ByEmail || a.Needs.Of(1) > 1 {
		return false, nil
	}
	named, err := l.tx.PersonByEmail(ctx, a.Approvers[0].Arg)
	if err != nil || named.ID != l.request.Requester || !named.Active {
		return false, ignoreNotFound(err)
	}
	settings, err := l.tx.Settings(ctx)
	return settings.SelfApproval == SelfNamed, err
}

// find resolves selectors to those who may act on the step.
func (l *lookup) find(ctx context.Context, step flow.Step, selectors []people.Selector) ([]people.ID, error) {
	r := l.request
	who := people.Concerned{Requester: r.Requester, Assignee: r.Assignee, Addresses: l.addresses}
	if _, i, ok := r.Run.Flow.Step(step.ID); ok {
		who.Approvers = r.Run.Steps[i].Unheard()
	}
	var err error
	if owned := func(s people.Selector) bool { return s.Kind == people.ResourceOwners }; slices.ContainsFunc(selectors, owned) {
		if who.Owners, err = ownerSelectors(ctx, l.tx, r); err != nil {
			return nil, err
		}
	}
	found, err := people.Resolve(ctx, l.tx, selectors, who)
	if err != nil {
		return nil, err
	}
	excluded := r.Run.Excluded(step)
	var ids []people.ID
	for _, p := range found {
		if !slices.Contains(excluded, p.ID) {
			ids = append(ids, p.ID)
		}
	}
	return ids, nil
}

// addresses evaluates a rule that returns addresses, of which at most one more
// is looked at than a step can ask. One that can't be evaluated finds nobody.
func (l *lookup) addresses(ctx context.Context, rule string) ([]string, error) {
	facts, err := l.facts(ctx)
	if err != nil {
		return nil, err
	}
	if found, err := l.service.rules.Addresses(rule, facts); err == nil {
		return found[:min(len(found), people.MaxAsked+1)], nil
	}
	return nil, nil
}

// maxRuleShown is how much of a rule the record shows.
const maxRuleShown = 500

// verdict returns what the step's rules decide, or nil when people do. A rule
// that can't be evaluated decides nothing; when it is the one that denies,
// nothing is approved either.
func (l *lookup) verdict(ctx context.Context, step flow.Step) (*flow.Verdict, error) {
	if !step.Automatic(l.request.Run.Ask) {
		return nil, nil
	}
	auto := step.Approval.Auto
	facts, err := l.facts(ctx)
	if err != nil {
		return nil, err
	}
	denies, unclear := l.holds(auto.DenyWhen, facts)
	if denies {
		return &flow.Verdict{Verb: flow.Deny, Rule: shownRule(auto.DenyWhen)}, nil
	}
	if approves, _ := l.holds(auto.ApproveWhen, facts); !approves || unclear {
		return nil, nil
	}
	if auto.Count > 0 {
		counted, err := l.tx.CountAuto(ctx, AutoCount{
			Rule: l.request.source() + "/" + step.ID, At: l.now, Since: l.now.Add(-auto.Per), Most: auto.Count,
		})
		if err != nil || !counted {
			return nil, err
		}
	}
	return &flow.Verdict{Verb: flow.Approve, Rule: shownRule(auto.ApproveWhen)}, nil
}

// holds reports whether a rule holds, and whether that can't be told.
func (l *lookup) holds(rule string, facts flow.Facts) (holds, unclear bool) {
	if rule == "" {
		return false, false
	}
	holds, err := l.service.rules.Holds(flow.When{CEL: rule}, facts)
	return holds && err == nil, err != nil
}

func shownRule(rule string) string { return "rule " + shorten(rule, maxRuleShown) }

// shorten cuts a text that has more characters than allowed.
func shorten(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// selectorsOf returns whom a step asks and how many persons it needs.
func selectorsOf(step flow.Step) ([]people.Selector, int) {
	switch {
	case step.Approval != nil:
		return step.Approval.Approvers, step.Approval.Needs.Of(1)
	case step.Duty() != nil:
		return step.Duty().Assignees, 1
	case len(step.Question.Assignees) > 0:
		return step.Question.Assignees, 1
	default:
		return []people.Selector{{Kind: people.Requester}}, 1
	}
}

func fallbackOf(step flow.Step) []people.Selector {
	switch {
	case step.Approval != nil:
		return step.Approval.Fallback
	case step.Duty() != nil:
		return step.Duty().Fallback
	default:
		return nil
	}
}

func list(selectors []people.Selector) string {
	names := make([]string, len(selectors))
	for i, s := range selectors {
		names[i] = s.String()
	}
	return strings.Join(names, ", ")
}

// facts gathers what a step's condition may look at.
func (s *Service) facts(ctx context.Context, tx Tx, r Request, now time.Time) (flow.Facts, error) {
	requester, err := tx.Person(ctx, r.Requester)
	if err != nil {
		return flow.Facts{}, err
	}
	facts, err := requesterFacts(ctx, tx, requester, now)
	if err != nil {
		return flow.Facts{}, err
	}
	mentioned, err := tx.Persons(ctx, r.People())
	if err != nil {
		return flow.Facts{}, err
	}
	facts.Run = r.Run
	facts.Emails = make(map[people.ID]string, len(mentioned))
	for id, p := range mentioned {
		facts.Emails[id] = p.Email
	}
	return facts, nil
}

// requesterFacts gathers what a rule about a requester may look at.
func requesterFacts(ctx context.Context, r Reader, requester people.Person, now time.Time) (flow.Facts, error) {
	facts := flow.Facts{Requester: requester, Now: now}
	var err error
	if facts.Groups, err = r.GroupsOf(ctx, requester.ID); err != nil {
		return facts, err
	}
	if requester.Manager == "" {
		return facts, nil
	}
	manager, err := r.Person(ctx, requester.Manager)
	if err != nil && !errors.Is(err, errs.NotFound) {
		return facts, err
	}
	facts.Manager = manager.Email
	return facts, nil
}
