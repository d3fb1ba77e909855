package core

import (
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Notice tells one person once about something in a request that their cards,
// which change silently, would not make them look at.
type Notice struct {
	Topic   NoticeKind `json:"topic"`
	Request RequestID  `json:"request"`
	Step    string     `json:"step,omitempty"`
	Person  people.ID  `json:"person"`
	Event   int64      `json:"event"` // of the audit record, after which it was sent
}

// Kind names the job.
func (Notice) Kind() string { return "notice" }

// NoticeKind says what a notice is about.
type NoticeKind string

const (
	NoticeReminder NoticeKind = "reminder" // the person has not acted on the step yet
	NoticeExpiring NoticeKind = "expiring" // Run.Expires is near
	NoticeInquired NoticeKind = "inquired" // Run.Inquiry is put to the person
	NoticeInformed NoticeKind = "informed" // the person's last question on the step is answered
)

// noticeKinds are the changes whose people are told.
var noticeKinds = map[flow.ChangeKind]NoticeKind{
	flow.ChangeReminded: NoticeReminder,
	flow.ChangeExpiring: NoticeExpiring,
	flow.ChangeInquired: NoticeInquired,
	flow.ChangeInformed: NoticeInformed,
}
