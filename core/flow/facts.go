package flow

import (
	"time"

	"github.com/usher-access/usher/core/people"
)

// Facts are what a rule may look at.
type Facts struct {
	Requester people.Person
	Manager   string   // the requester's manager's address; empty: none
	Groups    []string // the requester's
	Run       Run      // its answers, and how its steps ended; the zero value where there is none
	Emails    map[people.ID]string
	Now       time.Time
}
