package flow

import "github.com/usher-access/usher/core/people"

// Refusal says why an event may not happen. It names persons by ID; the caller
// turns it into a sentence with their names.
type Refusal struct {
	Why       RefusalKind
	Target    bool      // it is about the person to assign, not about who acts
	Kind      Kind      // with NotAsked: the step's kind
	State     State     // with RunClosed
	StepState StepState // with StepClosed
	Act       Act       // what closed it, or was said or done before; see the kinds
	People    []people.ID
	Needs     int // with TooFew
}

// RefusalKind is a refusal in one word.
type RefusalKind string

const (
	NoSuchStep        RefusalKind = "no such step"
	NotReached        RefusalKind = "step not reached"
	RunClosed         RefusalKind = "run closed"
	StepClosed        RefusalKind = "step closed"
	OwnRequest        RefusalKind = "own request"
	ApprovedBefore    RefusalKind = "approved an earlier step"
	NotAsked          RefusalKind = "not asked"
	AlreadyActed      RefusalKind = "already acted"
	ReasonMissing     RefusalKind = "reason missing"
	NoteTooLong       RefusalKind = "note too long"
	AnswerMissing     RefusalKind = "answer missing"
	WrongVerb         RefusalKind = "wrong verb"
	AssignedMeanwhile RefusalKind = "assigned meanwhile"
	NotTheirs         RefusalKind = "not theirs"
	TooFew            RefusalKind = "too few"
	NotRequester      RefusalKind = "not the requester"
	AlreadyTouched    RefusalKind = "already touched"
	TooLate           RefusalKind = "too late"      // Act.At is until when it could be done
	AlreadyHeard      RefusalKind = "already heard" // Act is that of the person in the same place
	EscalatedBefore   RefusalKind = "escalated before"
	NobodyHigher      RefusalKind = "nobody to escalate to"
	InquiryOpen       RefusalKind = "a question is open"
	TooManyInquiries  RefusalKind = "too many questions"
	NothingAsked      RefusalKind = "nothing asked"
	TextMissing       RefusalKind = "text missing"
	Widened           RefusalKind = "widened"
)

// Error returns the kind, for logs; people never read it.
func (r *Refusal) Error() string { return "flow: " + string(r.Why) }
