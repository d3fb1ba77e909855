package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// explain turns the engine's refusal into a sentence with people's names.
func (s *Service) explain(ctx context.Context, r Reader, request Request, err error) error {
	refusal, ok := errors.AsType[*flow.Refusal](err)
	if !ok {
		return err
	}
	persons, err := r.Persons(ctx, append([]people.ID{refusal.Act.By}, refusal.People...))
	if err != nil {
		return err
	}
	code, sentence := sentenceFor(refusal, request, persons)
	return errs.New(code, "%s", sentence)
}

func sentenceFor(refusal *flow.Refusal, request Request, persons map[people.ID]people.Person) (errs.Code, string) {
	by := persons[refusal.Act.By].Name
	at := At(refusal.Act.At)
	switch refusal.Why {
	case flow.OwnRequest:
		if refusal.Target {
			return errs.Invalid, "The requester can't decide their own request. Choose somebody else."
		}
		return errs.Denied, "It is your own request, so somebody else must decide it."
	case flow.ApprovedBefore:
		if refusal.Target {
			return errs.Invalid, "This person approved an earlier step, and this one needs somebody else. Choose another person."
		}
		return errs.Denied, "You approved an earlier step of this request, and this one needs somebody else."
	case flow.NotAsked:
		if refusal.Kind == flow.KindApproval {
			return errs.Denied, "You are not an approver of this step, so nothing was changed."
		}
		return errs.Denied, "This step is not assigned to you, so nothing was changed."
	case flow.AlreadyActed:
		if refusal.Target {
			return errs.Invalid, "This person has acted on this step already. Choose somebody else."
		}
		return errs.Conflict, fmt.Sprintf("You already %s this at %s.", past(refusal.Act.Verb), at)
	case flow.AlreadyHeard:
		if refusal.Act.For == "" {
			return errs.Conflict, fmt.Sprintf("%s already %s this at %s, for whom you stand in.", by, past(refusal.Act.Verb), at)
		}
		return errs.Conflict, fmt.Sprintf("%s already %s this in your place at %s.", by, past(refusal.Act.Verb), at)
	case flow.StepClosed:
		if refusal.Act.Verb == "" {
			return errs.Conflict, "This step is not open, so nothing was changed."
		}
		if refusal.Act.By == "" {
			return errs.Conflict, fmt.Sprintf("This was already %s without a person at %s: %s.", past(refusal.Act.Verb), at, refusal.Act.Note)
		}
		return errs.Conflict, fmt.Sprintf("This was already %s by %s at %s.", past(refusal.Act.Verb), by, at)
	case flow.RunClosed:
		if by == "" {
			return errs.Conflict, fmt.Sprintf("%s is already %s, so nothing was changed.", request.ID, refusal.State)
		}
		return errs.Conflict, fmt.Sprintf("%s was already %s by %s at %s.", request.ID, refusal.State, by, at)
	case flow.ReasonMissing:
		return errs.Invalid, "Please give a reason."
	case flow.NoteTooLong:
		return errs.Invalid, fmt.Sprintf("Please shorten this to %d characters.", flow.MaxText)
	case flow.TooLate:
		return errs.Conflict, fmt.Sprintf("The time to act on this was over at %s, so nothing was changed.", at)
	case flow.EscalatedBefore:
		return errs.Conflict, fmt.Sprintf("%s already escalated this at %s.", by, at)
	case flow.NobodyHigher:
		return errs.Invalid, "No manager was found who could be asked as well. Let somebody who looks after the request assign it instead."
	case flow.InquiryOpen:
		return errs.Conflict, fmt.Sprintf("%s asked the requester something at %s. Wait for the answer, or decide.", by, at)
	case flow.TooManyInquiries:
		return errs.Conflict, fmt.Sprintf("The requester was asked %d times about this step, which is as often as can be. Talk to them, or decide.", flow.MaxInquiries)
	case flow.NothingAsked:
		return errs.Conflict, "Nothing is asked of the requester any more, so nothing was changed."
	case flow.TextMissing:
		return errs.Invalid, "Please write something."
	case flow.Widened:
		return errs.Invalid, "You can shorten the time or choose a lower level, and nothing more than what was asked for."
	case flow.AnswerMissing:
		return errs.Invalid, "Please answer this."
	case flow.AssignedMeanwhile:
		return errs.Conflict, "This step was given to " + names(refusal.People, persons) + " in the meantime, so nothing was changed."
	case flow.NotTheirs:
		return errs.Conflict, "The person to be relieved is not waited for any more, so nothing was changed."
	case flow.TooFew:
		return errs.Invalid, fmt.Sprintf("%d people must approve this step. Say whom the new person replaces.", refusal.Needs)
	case flow.NotRequester:
		return errs.Denied, "Only the requester can do this, so nothing was changed."
	case flow.AlreadyTouched:
		return errs.Conflict, "Somebody has acted on this request, so it can't be cancelled any more."
	default:
		return errs.Invalid, "This can't be done with this step, so nothing was changed."
	}
}

func past(v flow.Verb) string {
	switch v {
	case flow.Approve:
		return "approved"
	case flow.Deny:
		return "denied"
	case flow.Complete:
		return "done"
	case flow.End:
		return "ended"
	case flow.Retry:
		return "tried again"
	default:
		return "answered"
	}
}

func names(ids []people.ID, persons map[people.ID]people.Person) string {
	if len(ids) == 0 {
		return "somebody else"
	}
	found := make([]string, len(ids))
	for i, id := range ids {
		found[i] = persons[id].Name
	}
	return strings.Join(found, ", ")
}

// At returns the moment as people read it where their time zone isn't known.
func At(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// explainAccess turns the refusal of a grant's engine into a sentence.
func explainAccess(ctx context.Context, r Reader, refusal *access.Refusal) error {
	g := refusal.Grant
	switch refusal.Why {
	case access.NotHolder:
		return errs.New(errs.Denied, "This access is somebody else's, so nothing was changed.")
	case access.Over:
		if g.StoppedBy == "" {
			return errs.New(errs.Conflict, "This access ended at %s.", At(cmp.Or(g.Stopped, g.Ends)))
		}
		by, err := r.Person(ctx, g.StoppedBy)
		if err != nil {
			return err
		}
		return errs.New(errs.Conflict, "This access was already ended by %s at %s.", by.Name, At(g.Stopped))
	case access.NotStarted:
		return errs.New(errs.Conflict, "This access was not given yet, so it can't be extended.")
	case access.NoEnd:
		return errs.New(errs.Invalid, "This access has no end, so there is nothing to extend.")
	case access.TooOften:
		return errs.New(errs.Invalid, "This access can't be extended any more. Ask for it anew when it has ended.")
	case access.TooLong:
		return errs.New(errs.Invalid, "This access can't be extended by that much at once.")
	case access.NoteMissing:
		return errs.New(errs.Invalid, "Please say what was done.")
	case access.ReasonNeeded:
		return errs.New(errs.Invalid, "Please give a reason.")
	case access.NoteTooLong:
		return errs.New(errs.Invalid, "Please shorten this to %d characters.", flow.MaxText)
	case access.StillTrying:
		return errs.New(errs.Conflict, "usher is just doing this by itself, so nothing was changed.")
	default:
		return errs.New(errs.Conflict, "Somebody has looked after this already, so nothing was changed.")
	}
}
