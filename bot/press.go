package bot

import (
	"context"
	"errors"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// What buttons do.
const (
	actionApprove  = "approve"
	actionDeny     = "deny"
	actionComplete = "complete"
	actionAnswer   = "answer"
	actionCancel   = "cancel"
	actionTake     = "take"
	actionAssign   = "assign"
	actionReassign = "reassign"
	actionMine     = "status-mine"
	actionAwaiting = "status-awaiting"
	actionAccess   = "status-access"
	actionHolders  = "holders"
	actionRequest  = "request"
)

const (
	inputReason = "reason"
	inputNote   = "note"
	inputPerson = "person"
	inputFrom   = "from"
)

var verbs = map[string]flow.Verb{
	actionApprove:  flow.Approve,
	actionDeny:     flow.Deny,
	actionComplete: flow.Complete,
	actionAnswer:   flow.Reply,
}

// press answers a click. The person is authorised by the core now, whatever
// the button looked like.
func (b *Bot) press(ctx context.Context, in Interaction, actor core.Actor, e Press) (Response, error) {
	switch e.Action {
	case actionMine, actionAwaiting, actionAccess:
		return b.statusPage(ctx, actor, e)
	case actionHolders:
		return b.holdersPage(ctx, actor, e.Value)
	case actionRequest:
		return b.openChoice(ctx, in, actor, e.Value)
	case actionDelegate:
		return b.openDelegate(ctx, in, actor)
	case actionTakeBack:
		return b.takeBack(ctx, actor)
	}
	t, posting, err := b.find(ctx, e.Value)
	if err != nil {
		return nil, err
	}
	b.learn(ctx, posting, in.Message)
	resp, err := b.pressed(ctx, in, actor, e.Action, t, posting)
	if errors.Is(err, errs.Conflict) {
		b.refresh(ctx, posting)
	}
	if _, done := resp.(Done); done && err == nil && in.Show {
		return b.showing(ctx, actor, posting), nil
	}
	return resp, err
}

// showing returns a clicked message as it is now; just Done when that can't be
// found out, because what was clicked has been carried out.
func (b *Bot) showing(ctx context.Context, actor core.Actor, p Posting) Response {
	m, err := b.message(ctx, p, actor.Person)
	if err != nil {
		b.log.WarnContext(ctx, "show a clicked message", "request", p.Request.String(), "error", err)
		return Done{}
	}
	return Replace{Message: m}
}

// message returns what a posting shows to a viewer now.
func (b *Bot) message(ctx context.Context, p Posting, viewer people.ID) (view.Message, error) {
	c, err := b.core.Case(ctx, p.Request)
	if err != nil {
		return view.Message{}, err
	}
	var postings []Posting
	if p.Kind == PostingTeam || p.Kind == PostingCare {
		if postings, err = b.ledger.Postings(ctx, p.Request); err != nil {
			return view.Message{}, err
		}
	}
	m := b.card(c, p, undelivered(postings))
	m.Blocks = append(m.Blocks, ownBlocks(c, p, viewer)...)
	return m, nil
}

func (b *Bot) pressed(
	ctx context.Context, in Interaction, actor core.Actor, action string, t target, p Posting,
) (Response, error) {
	switch action {
	case actionApprove:
		return b.approve(ctx, actor, t, p)
	case actionDeny, actionComplete, actionAnswer:
		return b.openStepForm(ctx, actor, action, t, p)
	case actionCancel:
		_, err := b.core.Cancel(ctx, actor, p.Request)
		return Done{}, err
	case actionTake:
		_, err := b.core.Assign(ctx, actor, t.ref(p), core.Assignment{To: actor.Person, Round: t.Round})
		return Done{}, err
	case actionAssign, actionReassign:
		return b.openAssign(ctx, actor, action, t, p)
	case actionLess:
		return b.openLess(ctx, actor, t, p)
	case actionAskBack:
		return b.openAskBack(ctx, actor, t, p)
	case actionInform:
		return b.openInform(ctx, actor, t, p)
	case actionEscalate:
		return b.openEscalate(ctx, actor, t, p)
	case actionEndTimer:
		_, err := b.core.EndTimer(ctx, actor, t.ref(p))
		return Done{}, err
	case actionRetry:
		_, err := b.core.RetryAction(ctx, actor, t.ref(p))
		return Done{}, err
	case actionFinished:
		return b.openFinished(ctx, actor, t, p)
	case actionExtend:
		return b.openExtend(ctx, in, actor, p)
	case actionHandBack:
		_, err := b.core.HandBack(ctx, actor, access.ID(p.Request), "")
		return Done{}, err
	case actionFinish:
		return b.openFinish(ctx, actor, t, p)
	case actionRevoke:
		return b.openRevoke(ctx, actor, t, p)
	case actionTryAgain:
		_, err := b.core.RetryGrant(ctx, actor, core.WorkRef{Grant: access.ID(p.Request), Key: t.Step})
		return Done{}, err
	default:
		return nil, errStale
	}
}

// approve decides at once, unless a reason is asked for first.
func (b *Bot) approve(ctx context.Context, actor core.Actor, t target, p Posting) (Response, error) {
	_, err := b.core.Decide(ctx, actor, t.ref(p), flow.Approve, "")
	if errors.Is(err, errs.Invalid) {
		return b.openStepForm(ctx, actor, actionApprove, t, p)
	}
	return Done{}, err
}

// openStepForm opens the form that completes a click: a reason, a note, an answer.
func (b *Bot) openStepForm(ctx context.Context, actor core.Actor, action string, t target, p Posting) (Response, error) {
	r, err := b.core.MayAct(ctx, actor, t.ref(p), verbs[action])
	if err != nil {
		return nil, err
	}
	step, _, _ := r.Run.Flow.Step(t.Step)
	switch {
	case action == actionApprove && step.Approval != nil:
		return stepForm(r, t, action, "Approve", "Approve", noteInput(inputReason, "Reason", step.Approval.Reason.Approve)), nil
	case action == actionDeny && step.Approval != nil:
		return stepForm(r, t, action, "Deny", "Deny", noteInput(inputReason, "Reason", step.Approval.Reason.Deny)), nil
	case action == actionComplete && step.Duty() != nil:
		return stepForm(r, t, action, "Mark as done", "Mark as done",
			view.Text{Spans: []view.Span{view.Words(step.Name())}}, noteInput(inputNote, "Note", false)), nil
	case action == actionAnswer && step.Question != nil:
		input, err := b.questionInput(ctx, step, nil)
		return stepForm(r, t, action, "Answer", "Submit", input), err
	default:
		return nil, errStale
	}
}

func noteInput(id, label string, required bool) view.Input {
	return view.Input{
		ID: id, Label: label, Required: required,
		Field: view.TextField{Max: flow.MaxText, Multiline: true},
	}
}

// submit answers a form.
func (b *Bot) submit(ctx context.Context, in Interaction, actor core.Actor, e Submit) (Response, error) {
	switch e.Form {
	case formPick:
		return b.picked(ctx, in, actor, e)
	case formRequest:
		return b.request(ctx, in, actor, e)
	case formAccess:
		return b.askForAccess(ctx, in, actor, e)
	case actionDelegate:
		return b.delegate(ctx, in, actor, e)
	}
	t, p, err := b.find(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	resp, err := b.submitted(ctx, actor, e, t, p)
	if errors.Is(err, errs.Conflict) {
		b.refresh(ctx, p)
	}
	return resp, err
}

func (b *Bot) submitted(ctx context.Context, actor core.Actor, e Submit, t target, p Posting) (Response, error) {
	ref := t.ref(p)
	var err error
	switch e.Form {
	case actionApprove, actionDeny:
		_, err = b.core.Decide(ctx, actor, ref, verbs[e.Form], first(e.Values[inputReason]))
		err = at(inputReason, err)
	case actionComplete:
		_, err = b.core.Complete(ctx, actor, ref, first(e.Values[inputNote]))
		err = at(inputNote, err)
	case actionAnswer:
		_, err = b.core.Answer(ctx, actor, ref, e.Values[t.Step])
	case actionAssign, actionReassign:
		_, err = b.core.Assign(ctx, actor, ref, core.Assignment{
			To: personID(e.Values[inputPerson]), From: personID(e.Values[inputFrom]), Round: t.Round,
		})
		err = at(inputPerson, err)
	case actionLess:
		err = b.approveLess(ctx, actor, e, ref)
	case actionAskBack:
		_, err = b.core.AskBack(ctx, actor, ref, first(e.Values[inputQuestion]))
		err = at(inputQuestion, err)
	case actionInform:
		_, err = b.core.AnswerInquiry(ctx, actor, ref, first(e.Values[inputAnswer]))
		err = at(inputAnswer, err)
	case actionEscalate:
		_, err = b.core.Escalate(ctx, actor, ref, first(e.Values[inputReason]))
		err = at(inputReason, err)
	case actionFinished:
		_, err = b.core.FinishAction(ctx, actor, ref, first(e.Values[inputNote]))
		err = at(inputNote, err)
	case actionFinish:
		err = b.finish(ctx, actor, e, t, p)
	case actionRevoke:
		_, err = b.core.Revoke(ctx, actor, access.ID(p.Request), first(e.Values[inputReason]))
		err = at(inputReason, err)
	default:
		err = errStale
	}
	return Done{}, err
}

// at puts what is wrong with the only thing that was entered at its input.
func at(input string, err error) error {
	refusal, ok := errs.As(err)
	if !ok || refusal.Code != errs.Invalid || len(refusal.Fields) > 0 {
		return err
	}
	return &errs.Error{Code: refusal.Code, Message: refusal.Message, Fields: map[string]string{input: refusal.Message}}
}

// look shows the message that a button stands on. Somebody's own message is
// shown to nobody else.
func (b *Bot) look(ctx context.Context, actor core.Actor, value string) (Response, error) {
	_, p, err := b.find(ctx, value)
	if err != nil {
		return nil, err
	}
	if p.Person != "" && p.Person != actor.Person {
		return nil, errStale
	}
	if err := b.core.Active(ctx, actor.Person); err != nil {
		return nil, err
	}
	m, err := b.message(ctx, p, actor.Person)
	return Replace{Message: m}, err
}

// learn remembers a message that shows a posting though nobody recorded it: the
// platform sent it and answered with an error. From now on it is kept up to
// date like the first.
func (b *Bot) learn(ctx context.Context, p Posting, clicked *MessageRef) {
	if clicked == nil || p.Message == "" || clicked.Channel != p.Channel || clicked.ID == p.Message {
		return
	}
	another := p
	another.ID, another.Copy, another.Message, another.Shown = b.newID(), clicked.ID, clicked.ID, ""
	if err := b.ledger.Plan(ctx, []Posting{another}, nil); err != nil {
		b.log.WarnContext(ctx, "remember another copy", "request", p.Request, "error", err)
	}
}

// refresh brings a posting up to date that somebody acted on too late.
func (b *Bot) refresh(ctx context.Context, p Posting) {
	if p.Platform == people.Web {
		return // its pages are made anew each time they are read
	}
	if err := b.ledger.Plan(ctx, nil, []string{p.ID}); err != nil {
		b.log.WarnContext(ctx, "refresh a posting", "request", p.Request, "error", err)
	}
}
