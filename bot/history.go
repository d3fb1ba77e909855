package bot

import (
	"slices"
	"strings"
	"time"

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
		text = askedText(c)
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
		text = inPlaceOf(who, whom) + " approved " + step
	case flow.ChangeDenied:
		text = inPlaceOf(who, whom) + " denied " + step
	case flow.ChangeAnswered:
		text = inPlaceOf(who, whom) + " answered " + step
	case flow.ChangeDone:
		text = inPlaceOf(who, whom) + " marked " + step + " as done"
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
		return joined(who+" approved less than was asked for", ": ", narrowedNote(c, e.Note))
	case flow.ChangeExpiring:
		return joined(c.ID.String()+" expires soon", ", ", moment(e.Note))
	default:
		return accessSentence(c, e, who, whom)
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return text
}

// askedText tells who asked for what, whatever was approved instead since.
func askedText(c core.Case) string {
	what := "asked for " + c.Title
	if a := c.Access; a != nil {
		what = "asked for " + a.Asked()
		switch {
		case a.Extends != 0:
			what = "asked to extend " + a.Asked()
		case a.BreakGlass:
			what += ", in an emergency"
		}
	}
	if c.Creator != c.Requester {
		what += " for " + name(c, c.Requester)
	}
	return name(c, c.Creator) + " " + what
}

// narrowedNote returns the note of a narrowing with the levels' titles.
func narrowedNote(c core.Case, note string) string {
	changed, more, _ := strings.Cut(note, ", ")
	levels, found := strings.CutPrefix(changed, "level ")
	less, asked, _ := strings.Cut(levels, " instead of ")
	if !found {
		return note
	}
	return joined(levelTitle(c, less)+" instead of "+levelTitle(c, asked), ", ", more)
}

// inPlaceOf names who acted, and in whose place.
func inPlaceOf(who, whom string) string { return joined(who, " for ", whom) }

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
	text, note := "", e.Note
	switch access.ChangeKind(e.Kind) {
	case access.ChangePlanned:
		return joined("Access will be given", " ", moment(note))
	case access.ChangeGiven:
		return joined(whom+" has access", " ", moment(note))
	case access.ChangeWarned:
		text, note = whom+" was told that access ends soon", moment(note)
	case access.ChangeExtended:
		return joined("Access lasts longer", ", ", moment(note))
	case access.ChangeStopped:
		text = stopSentence(e, who, whom)
	case access.ChangeEnded:
		text = "The access of " + whom + " ended"
		if e.Actor != "" {
			text = stopSentence(e, who, whom)
		}
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
	return joined(text, ": ", note)
}

// stopSentence tells why access ends before its time, or that its time is over.
func stopSentence(e audit.Event, who, whom string) string {
	switch {
	case e.Actor == "":
		return "The access of " + whom + " is being taken back"
	case slices.Contains(e.People, e.Actor):
		return who + " handed the access back"
	default:
		return who + " took the access of " + whom + " away"
	}
}

func joined(text, by, more string) string {
	if more == "" {
		return text
	}
	return text + by + more
}

// moment returns a note about access with the moment at its end as people read it.
func moment(note string) string {
	at := strings.LastIndexByte(note, ' ') + 1
	if t, err := time.Parse(time.RFC3339, note[at:]); err == nil {
		return note[:at] + core.At(t)
	}
	if t, err := time.Parse(time.DateOnly, note[at:]); err == nil {
		return note[:at] + t.Format("2 Jan 2006")
	}
	return note
}
