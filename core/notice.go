package core

import (
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// Notice tells one person once about something that their cards, which change
// silently, would not make them look at.
type Notice struct {
	Topic   NoticeKind `json:"topic"`
	Request RequestID  `json:"request,omitzero"` // 0: it is about none
	Step    string     `json:"step,omitempty"`
	Person  people.ID  `json:"person"`
	By      people.ID  `json:"by,omitempty"`    // with NoticeDelegated: whose delegate the person is
	Event   int64      `json:"event,omitempty"` // of the request's audit record: it tells notices apart
}

// Kind names the job.
func (Notice) Kind() string { return "notice" }

// NoticeKind says what a notice is about.
type NoticeKind string

const (
	NoticeReminder  NoticeKind = "reminder"  // the person has not acted on the step yet
	NoticeExpiring  NoticeKind = "expiring"  // Run.Expires is near
	NoticeInquired  NoticeKind = "inquired"  // Run.Inquiry is put to the person
	NoticeInformed  NoticeKind = "informed"  // the person's last question on the step is answered
	NoticeDelegated NoticeKind = "delegated" // somebody has made the person their delegate
)

// noticeKinds are the changes whose people are told.
var noticeKinds = map[flow.ChangeKind]NoticeKind{
	flow.ChangeReminded: NoticeReminder,
	flow.ChangeExpiring: NoticeExpiring,
	flow.ChangeInquired: NoticeInquired,
	flow.ChangeInformed: NoticeInformed,
}
