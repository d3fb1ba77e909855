package bot

import (
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/access"
	"github.com/usher-access/usher/core/audit"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

// sentence tells an event of the audit record.
func sentence(c core.Case, e audit.Event) string {
	step := ""
	if s, _, ok := c.Run.Flow.Step(e.Step); ok {
		step = "“" + s.Name() + "”"
	}
	who, whom := "usher", peopleNames(c, ids(e.People))
	if e.Actor != "" {
		who = name(c, people.ID(e.Actor))
	}
	text := ""
	switch flow.ChangeKind(e.Kind) {
	case flow.ChangeSubmitted:
		text = who + " asked for " + c.Title
	case flow.ChangeOpened:
		text = step + " begins"
		if whom != "" {
			text = step + " is asked of " + whom
		}
	case flow.ChangeUnassigned:
		text = step + " waits for " + lookingAfter(c) + " to give it to somebody"
	case flow.ChangeSkipped:
		text = step + " is skipped"
	case flow.ChangeApproval, flow.ChangeApproved:
		text = who + " approved " + step
	case flow.ChangeDenied:
		text = who + " denied " + step
	case flow.ChangeAnswered:
		text = who + " answered " + step
	case flow.ChangeDone:
		text = who + " marked " + step + " as done"
	case flow.ChangeAssigned:
		text = who + " gave " + step + " to " + whom
	case flow.ChangeReassigned:
		text = who + " gave " + step + " to somebody else: " + whom
	case flow.ChangeEnded:
		return c.ID.String() + " ended: " + stateWord(c)
	case flow.ChangeExpired:
		text = step + " was not decided in time"
	case flow.ChangeDelayed:
		text = step + " could not be done yet, and is tried again"
	case flow.ChangeFailed:
		text = step + " could not be done"
	case flow.ChangeRetried:
		text = who + " tried " + step + " again"
	case flow.ChangeEscalated:
		text = who + " escalated " + step + " to " + whom
	case flow.ChangeReminded:
		text = whom + " got a reminder of " + step
	case flow.ChangeDelegated:
		text = whom + " stands in for " + who + " on " + step
	case flow.ChangeUndelegated:
		text = whom + " stands in for " + who + " no more"
	case flow.ChangeInquired:
		text = who + " asked for more information"
	case flow.ChangeInformed:
		text = who + " gave more information"
	case flow.ChangeNarrowed:
		text = who + " approved less than was asked for"
	case flow.ChangeExpiring:
		text = c.ID.String() + " expires soon"
	default:
		return accessSentence(c, e, who, whom)
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return text
}

func ids(written []string) []people.ID {
	out := make([]people.ID, len(written))
	for i, w := range written {
		out[i] = people.ID(w)
	}
	return out
}

// accessSentence tells an event about the access that a request gave, or about
// something else that is no change of its run.
func accessSentence(c core.Case, e audit.Event, who, whom string) string {
	text := ""
	switch access.ChangeKind(e.Kind) {
	case access.ChangePlanned:
		text = "access will be given"
	case access.ChangeGiven:
		text = whom + " has access"
	case access.ChangeWarned:
		text = whom + " was told that access ends soon"
	case access.ChangeExtended:
		text = "access lasts longer"
	case access.ChangeStopped:
		text = "access is being taken back"
	case access.ChangeEnded:
		text = "access ended"
	case access.ChangeDone:
		text = who + " did “" + e.Step + "”"
	case access.ChangeDelayed:
		text = "“" + e.Step + "” could not be done yet, and is tried again"
	case access.ChangeFailed:
		text = "“" + e.Step + "” failed"
	case access.ChangeManual:
		text = "“" + e.Step + "” is to be done by hand"
		if whom != "" {
			text += " by " + whom
		}
	case access.ChangeKept:
		text = "“" + e.Step + "” is left as it is"
	case access.ChangeRetried:
		text = who + " tried “" + e.Step + "” again"
	default:
		text = who + ": " + e.Kind
		if whom != "" {
			text += ": " + whom
		}
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return text
}
