package core

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Provisioner does actions of one kind outside of usher. It may be told the same
// order again, with the same Key, and then does nothing twice.
//
// It returns a *Refused when trying again is pointless, and any other error when
// it may work next time. People who look after the action read either, so they
// say in words what is wrong, and contain no secrets.
type Provisioner interface {
	Provision(ctx context.Context, o Order) error
}

// Order is an action to be done for a person.
type Order struct {
	Key       string // the same for every try
	Verb      OrderVerb
	Action    flow.Action
	Request   RequestID
	Requester people.Person
	Resource  string            // names; empty where the request is about no resource
	Level     string            //
	Ends      time.Time         // when access will end; zero: never, or there is none
	Answers   map[string]string // as people read them, by question
}

// value returns what a placeholder of the action's parameters stands for; an
// unknown one for nothing.
func (o Order) value(name string) string {
	if attribute, ok := strings.CutPrefix(name, flow.FillAttribute); ok {
		return o.Requester.Attributes[attribute]
	}
	if id, ok := strings.CutPrefix(name, flow.FillAnswer); ok {
		return o.Answers[id]
	}
	switch name {
	case flow.FillRequest:
		return o.Request.String()
	case flow.FillResource:
		return o.Resource
	case flow.FillLevel:
		return o.Level
	case flow.FillName:
		return o.Requester.Name
	case flow.FillEmail:
		return o.Requester.Email
	case flow.FillTitle:
		return o.Requester.Title
	default:
		return ""
	}
}

// OrderVerb is what to do.
type OrderVerb string

const (
	OrderGrant  OrderVerb = "grant"
	OrderRevoke OrderVerb = "revoke"
	OrderExtend OrderVerb = "extend" // access that was given ends later
	OrderRun    OrderVerb = "run"    // an action that is a step of its own
)

// Refused is an outside system's answer that no retry will change.
type Refused struct{ Why string }

// Error says why, in a sentence that people may read.
func (r *Refused) Error() string { return fmt.Sprintf("refused: %s", r.Why) }

// Reporter is a Provisioner that knows what is there.
type Reporter interface {
	// Holders returns the e-mail addresses of all who have what the action gives.
	Holders(ctx context.Context, a flow.Action) ([]string, error)
}
