package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/catalog"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

const (
	// callTimeout is how long an outside call may take. What came of it is saved
	// while its job may still run.
	callTimeout = 6 * time.Second
	saveTimeout = 3 * time.Second
	// callLease is longer than a job may run: when it is over and nothing was
	// saved, the process died.
	callLease = 15 * time.Second

	maxProblem = 500 // characters of what an outside system says went wrong
)

// WorkRef names an action of a grant.
type WorkRef struct {
	Grant access.ID
	Key   string
}

// Provision works the job of the same name: it does the grant's next action with
// one call, or gives it to people when nothing else can do it. That the call
// begins is saved before, so that there is one at a time, and what came of it
// after; when the process dies in between, the same call is made again.
func (s *Service) Provision(ctx context.Context, job Provision) error {
	order, err := s.beginCall(ctx, job)
	if err == nil && order.Key != "" {
		err = s.finishCall(ctx, job.Grant, order)
	}
	if err != nil {
		return fmt.Errorf("provision %s: %w", RequestID(job.Grant), err)
	}
	return nil
}

// beginCall returns the order that is to be called now. It has no Key when
// there is none, or not yet, when people got it, or when another grant gives
// what this one is to take back.
func (s *Service) beginCall(ctx context.Context, job Provision) (Order, error) {
	now := s.now()
	var order Order
	_, err := s.changeGrant(ctx, Actor{}, job.Grant, func(ctx context.Context, tx Tx, g *access.Grant) (access.Event, error) {
		order = Order{}
		w, waits := g.Current()
		_, from, calls := g.NextCall()
		if !waits || !calls && !g.Stopping() {
			return nil, nil
		}
		if from.After(now) {
			return nil, tx.Enqueue(ctx, job, JobOpts{RunAt: from})
		}
		r, err := tx.Request(ctx, RequestID(g.ID))
		if err != nil {
			return nil, err
		}
		next, err := grantOrder(ctx, tx, r, *g, w, now)
		if err != nil {
			return nil, err
		}
		others, err := beside(ctx, tx, *g, next)
		switch {
		case err != nil:
			return nil, err
		case others.keeper != 0:
			return access.Kept{Key: w.Key, By: others.keeper.String()}, nil
		case !calls:
			return nil, nil // people have it
		case others.until.After(now):
			return nil, tx.Enqueue(ctx, job, JobOpts{RunAt: others.until})
		}
		for _, other := range others.byHand {
			if err := tx.Enqueue(ctx, Provision{Grant: other}, JobOpts{}); err != nil {
				return nil, err
			}
		}
		if s.provisioners[w.Action.Kind] == nil {
			to, tooMany, err := s.look(tx, r, now).hands(ctx, w.Action)
			return access.HandedOver{Key: w.Key, Why: reasons(whyByHand(w.Action), tooMany), To: to}, err
		}
		order = next
		return access.CallBegun{Key: w.Key, Until: now.Add(callLease)}, nil
	})
	return order, err
}

// finishCall calls and saves what came of it.
func (s *Service) finishCall(ctx context.Context, id access.ID, order Order) error {
	failure, err := s.call(ctx, order)
	if err != nil {
		return err
	}
	now := s.now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	_, err = s.changeGrant(ctx, Actor{}, id, func(ctx context.Context, tx Tx, _ *access.Grant) (access.Event, error) {
		if failure == nil {
			return access.CallDone{Key: order.Key}, nil
		}
		r, err := tx.Request(ctx, RequestID(id))
		if err != nil {
			return nil, err
		}
		to, tooMany, err := s.look(tx, r, now).hands(ctx, order.Action)
		return access.CallFailed{Key: order.Key, Problem: reasons(failure.Why, tooMany), Final: failure.final, To: to}, err
	})
	return err
}

// failure is why a call did not do what it should.
type failure struct {
	Why   string
	final bool // trying again is pointless
}

// call gives an order to the provisioner of its kind. The error is that usher
// stops, which is no failure: the call is made again.
func (s *Service) call(ctx context.Context, order Order) (*failure, error) {
	provisioner := s.provisioners[order.Action.Kind]
	if provisioner == nil {
		return &failure{Why: whyByHand(order.Action), final: true}, nil
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := provisioner.Provision(calling, order)
	switch refused, final := errors.AsType[*Refused](err); {
	case err == nil:
		return nil, nil
	case final:
		return &failure{Why: shorten(refused.Why, maxProblem), final: true}, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return &failure{Why: shorten(err.Error(), maxProblem)}, nil
	}
}

func grantOrder(ctx context.Context, r Reader, request Request, g access.Grant, w access.Work, now time.Time) (Order, error) {
	order, err := orderFor(ctx, r, request, w.Action)
	order.Key = w.Key
	switch {
	case g.Stopping():
		order.Verb = OrderRevoke
	case w.Extends:
		order.Verb, order.Ends = OrderExtend, g.Ends
	case g.Duration > 0:
		order.Verb, order.Ends = OrderGrant, now.Add(g.Duration)
	default:
		order.Verb = OrderGrant
	}
	return order, err
}

// orderFor returns what an order says of a request, whoever gives it.
func orderFor(ctx context.Context, r Reader, request Request, a flow.Action) (Order, error) {
	requester, err := r.Person(ctx, request.Requester)
	if err != nil {
		return Order{}, err
	}
	order := Order{Request: request.ID, Requester: requester}
	if ask := request.Run.Ask; ask != nil {
		order.Resource, order.Level = ask.Resource, ask.Level
	}
	order.Answers, err = written(ctx, r, request)
	order.Action = a.Fill(order.value)
	return order, err
}

// written returns a request's answers as people read them, by question.
func written(ctx context.Context, r Reader, request Request) (map[string]string, error) {
	texts := map[string]string{}
	for _, step := range request.Run.Flow.Steps {
		answer, ok := request.Run.Answers[step.ID]
		if !ok || step.Question == nil {
			continue
		}
		texts[step.ID] = strings.Join(answer, ", ")
		if step.Question.Type != flow.TypePerson || len(answer) == 0 {
			continue
		}
		p, err := r.Person(ctx, people.ID(answer[0]))
		if err := ignoreNotFound(err); err != nil {
			return nil, err
		}
		texts[step.ID] = p.Email
	}
	return texts, nil
}

// hands returns who is to do an action that nothing else can do: the assignees
// of a task, else the request assignee, else the resource's owners. It is never
// the one who gets the access, unless policy names nobody else. More than an
// action can ask are not asked at all, and it says so.
func (l *lookup) hands(ctx context.Context, a flow.Action) (to []people.ID, tooMany string, err error) {
	request := l.request
	if a.Task != nil {
		selectors := slices.Concat(a.Task.Assignees, a.Task.Fallback)
		if to, err = l.find(ctx, flow.Step{Task: a.Task}, selectors); err != nil {
			return nil, "", err
		}
		if others := without(to, request.Requester); len(others) > 0 {
			to = others
		}
		if len(to) > people.MaxAsked {
			to, tooMany = nil, findTooMany(selectors, to)
		}
		if len(to) > 0 {
			return to, "", nil
		}
	}
	assignee, err := people.Resolve(ctx, l.tx, []people.Selector{{Kind: people.RequestAssignee}}, people.Concerned{Assignee: request.Assignee})
	if err != nil {
		return nil, "", err
	}
	if to = without(idsOf(assignee), request.Requester); len(to) > 0 {
		return to, tooMany, nil
	}
	owners, err := l.service.ownersOf(ctx, l.tx, request.Run.Ask.Resource)
	if to = without(owners, request.Requester); len(to) > people.MaxAsked {
		to, tooMany = nil, reasons(tooMany, findTooMany([]people.Selector{{Kind: people.ResourceOwners}}, to))
	}
	return to, tooMany, err
}

func findTooMany(selectors []people.Selector, found []people.ID) string {
	return fmt.Sprintf("%s finds %d people, and an action can ask at most %d", list(selectors), len(found), people.MaxAsked)
}

// reasons puts together those that there are.
func reasons(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), "; ")
}

func without(ids []people.ID, id people.ID) []people.ID {
	return slices.DeleteFunc(slices.Clone(ids), func(other people.ID) bool { return other == id })
}

// ownersOf returns the active owners of a resource: nobody when it is gone.
func (s *Service) ownersOf(ctx context.Context, r Reader, resource string) ([]people.ID, error) {
	res, err := r.Resource(ctx, resource)
	if err != nil {
		return nil, ignoreNotFound(err)
	}
	found, err := s.owners(ctx, r, res)
	return idsOf(found), err
}

// owners returns the active owners of a resource.
func (s *Service) owners(ctx context.Context, r Reader, resource catalog.Resource) ([]people.Person, error) {
	return people.Resolve(ctx, r, resource.Owners, people.Concerned{
		Addresses: func(_ context.Context, rule string) ([]string, error) {
			return s.ownersByRule(rule, resource.Name), nil
		},
	})
}

func idsOf(persons []people.Person) []people.ID {
	ids := make([]people.ID, len(persons))
	for i, p := range persons {
		ids[i] = p.ID
	}
	return ids
}

func whyByHand(a flow.Action) string {
	if a.Kind == flow.ActionTask {
		return ""
	}
	return fmt.Sprintf("usher is not connected to what does %s", a.Kind)
}

// RetryGrant makes an action that failed be tried again. Those who may do it by
// hand may ask for that; anybody else gets errs.Denied. It returns errs.Conflict
// when the action is not waited for any more.
func (s *Service) RetryGrant(ctx context.Context, actor Actor, ref WorkRef) (access.Grant, error) {
	g, err := s.changeGrant(ctx, actor, ref.Grant, func(ctx context.Context, tx Tx, g *access.Grant) (access.Event, error) {
		return access.Retried{Key: ref.Key, By: actor.Person}, s.mayFinish(ctx, tx, actor.Person, *g)
	})
	if err != nil {
		return access.Grant{}, fmt.Errorf("retry an action for %s: %w", RequestID(ref.Grant), err)
	}
	return g, nil
}

// FinishGrantWork marks an action as done by hand. Those who were asked to do
// it, the request assignee and members of the request's team may; anybody else
// gets errs.Denied. It returns errs.Invalid when a note is missing, and
// errs.Conflict when the action is not waited for any more.
func (s *Service) FinishGrantWork(ctx context.Context, actor Actor, ref WorkRef, note string) (access.Grant, error) {
	g, err := s.changeGrant(ctx, actor, ref.Grant, func(ctx context.Context, tx Tx, g *access.Grant) (access.Event, error) {
		return access.DoneByHand{Key: ref.Key, By: actor.Person, Note: note}, s.mayFinish(ctx, tx, actor.Person, *g)
	})
	if err != nil {
		return access.Grant{}, fmt.Errorf("finish an action for %s: %w", RequestID(ref.Grant), err)
	}
	return g, nil
}

// MayFinish returns nil if the person may do the grant's actions by hand now,
// and otherwise the refusal that FinishGrantWork would return.
func (s *Service) MayFinish(ctx context.Context, person people.ID, id access.ID) error {
	g, err := s.store.Grant(ctx, id)
	if err != nil {
		return err
	}
	return s.mayFinish(ctx, s.store, person, g)
}

var errOwnAccess = errs.New(errs.Denied, "It is your own access, so somebody else must look after this.")

func (s *Service) mayFinish(ctx context.Context, r Reader, id people.ID, g access.Grant) error {
	if _, err := activePerson(ctx, r, id); err != nil {
		return err
	}
	if w, waits := g.Current(); waits && slices.Contains(w.Asked, id) {
		return nil
	}
	if id == g.Holder {
		return errOwnAccess
	}
	request, err := r.Request(ctx, RequestID(g.ID))
	if err != nil {
		return err
	}
	if looks, err := s.looksAfter(ctx, r, id, request); err != nil || looks {
		return err
	}
	teams, err := r.TeamsOf(ctx, id)
	if err != nil || slices.Contains(teams, request.Team) {
		return err
	}
	return errs.New(errs.Denied, "This is not yours to look after, so nothing was changed.")
}

// looksAfter reports whether the person is the request assignee, or an owner of
// the resource that the request is about.
func (s *Service) looksAfter(ctx context.Context, r Reader, id people.ID, request Request) (bool, error) {
	if id == request.Assignee {
		return true, nil
	}
	owners, err := s.ownersOf(ctx, r, request.Run.Ask.Resource)
	return slices.Contains(owners, id), err
}
