// Package adaptertest is what every chat adapter must do, whatever its platform.
package adaptertest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/bot/view/viewtest"
	"github.com/usher-access/usher/core/people"
)

// Platform is an adapter with the people in front of it.
type Platform interface {
	// Post and Update put a message in front of people as usher does: by sending
	// it where there are messages, by listing it where there are pages.
	Post(ctx context.Context, to bot.Destination, m view.Message) (bot.MessageRef, error)
	Update(ctx context.Context, ref bot.MessageRef, m view.Message) error

	// Person is the account of somebody on the platform.
	Person() people.Account
	// Command makes the person say a text to usher.
	Command(t *testing.T, text string)
	// Press makes the person press the button with this label on a message.
	Press(t *testing.T, ref bot.MessageRef, label string)
	// Fill fills in the form that the person sees, by label, and submits it. It
	// returns the problems that the person sees, by label.
	Fill(t *testing.T, values map[string]string) map[string]string
	// Choose chooses a value of an input that draws the form anew, by label.
	Choose(t *testing.T, label, value string)
	// Search types into a searched input of the form and returns what is offered.
	Search(t *testing.T, label, typed string) []string
	// Shown returns what the person reads in a message.
	Shown(t *testing.T, ref bot.MessageRef) string
	// Told returns what only the person was shown, the newest last.
	Told(t *testing.T) []string
	// FormShown returns what the person reads in the open form; false: none is open.
	FormShown(t *testing.T) (string, bool)
}

// Handler answers as a test wants and remembers what it was handed.
type Handler struct {
	mu      sync.Mutex
	answers []bot.Response
	handed  []bot.Interaction
}

// Handle hands out the next of the answers, and Done when there is none.
func (h *Handler) Handle(_ context.Context, in bot.Interaction) bot.Response {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handed = append(h.handed, in)
	if len(h.answers) == 0 {
		return bot.Done{}
	}
	next := h.answers[0]
	h.answers = h.answers[1:]
	return next
}

func (h *Handler) answer(r ...bot.Response) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers = r
}

// Handed returns how often something was handed in.
func (h *Handler) Handed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.handed)
}

func (h *Handler) last(t *testing.T) bot.Interaction {
	t.Helper()

	h.mu.Lock()
	defer h.mu.Unlock()
	require.NotEmpty(t, h.handed)
	return h.handed[len(h.handed)-1]
}

func tell(s string) bot.Tell {
	return bot.Tell{Message: view.Message{Summary: s, Blocks: []view.Block{view.Text{Spans: []view.Span{view.Words(s)}}}}}
}

// Run checks a platform. newPlatform returns one whose deliveries go to h.
func Run(t *testing.T, newPlatform func(t *testing.T, h bot.Handler) Platform) {
	setup := func(t *testing.T) (*Handler, Platform) {
		t.Helper()
		t.Parallel()

		h := &Handler{}
		return h, newPlatform(t, h)
	}
	form := func(blocks ...view.Block) bot.OpenForm {
		return bot.OpenForm{Form: view.Form{ID: "opaque", Name: "request", Title: "A form", Submit: "Submit", Blocks: blocks}}
	}
	why := view.Input{ID: "why", Label: "Why?", Required: true, Field: view.TextField{Max: 1_000}}

	t.Run("ACommandComesFromItsVerifiedAccount", func(t *testing.T) {
		h, p := setup(t)
		p.Command(t, "new laptop")
		in := h.last(t)
		require.Equal(t, p.Person(), in.From)
		require.Equal(t, bot.Command{Text: "new laptop"}, in.Event)
	})

	t.Run("WhatIsToldShowsAsItIsToThePersonOnly", func(t *testing.T) {
		h, p := setup(t)
		h.answer(tell(viewtest.Nasty))
		p.Command(t, "help")
		require.Contains(t, p.Told(t)[0], viewtest.Nasty)
	})

	t.Run("AFormIsFilledInAndComesBackByInput", func(t *testing.T) {
		h, p := setup(t)
		h.answer(form(why, view.Input{ID: "model", Label: "Model", Field: view.ChoiceField{Options: []view.Option{{Value: "v13", Label: "13 inch"}}}}))
		p.Command(t, "laptop")
		require.Empty(t, p.Fill(t, map[string]string{"Why?": viewtest.Nasty, "Model": "13 inch"}))
		submit, ok := h.last(t).Event.(bot.Submit)
		require.True(t, ok)
		require.Equal(t, "opaque", submit.ID)
		require.Equal(t, "request", submit.Form)
		require.Equal(t, map[string][]string{"why": {viewtest.Nasty}, "model": {"v13"}}, submit.Values)
		_, open := p.FormShown(t)
		require.False(t, open, "Done closes the form")
	})

	t.Run("AProblemStandsAtItsInput", func(t *testing.T) {
		h, p := setup(t)
		h.answer(form(why), bot.Correct{Problems: map[string]string{"why": "Say more."}})
		p.Command(t, "laptop")
		require.Equal(t, map[string]string{"Why?": "Say more."}, p.Fill(t, map[string]string{"Why?": "x"}))
		_, open := p.FormShown(t)
		require.True(t, open)
	})

	t.Run("AProblemOfTheWholeFormIsShownToo", func(t *testing.T) {
		h, p := setup(t)
		h.answer(form(why), bot.Correct{Problems: map[string]string{"": "Try again in a moment."}})
		p.Command(t, "laptop")
		problems := p.Fill(t, map[string]string{"Why?": "x"})
		require.Contains(t, strings.Join(slices.Collect(maps.Values(problems)), " "), "Try again in a moment.")
	})

	t.Run("AFormLeadsToTheNext", func(t *testing.T) {
		h, p := setup(t)
		h.answer(form(why), form(view.Input{ID: "more", Label: "More?", Field: view.TextField{Max: 10}}))
		p.Command(t, "laptop")
		p.Fill(t, map[string]string{"Why?": "x"})
		shown, open := p.FormShown(t)
		require.True(t, open)
		require.Contains(t, shown, "More?")
	})

	t.Run("AFormThatOpensBeforeItsAnswerIsReplaced", func(t *testing.T) {
		h, p := setup(t)
		first := form(why)
		first.Again = true
		h.answer(first, form(view.Input{ID: "more", Label: "More?", Field: view.TextField{Max: 10}}))
		p.Command(t, "")
		require.True(t, h.last(t).Opened)
		shown, open := p.FormShown(t)
		require.True(t, open)
		require.Contains(t, shown, "More?")
	})

	t.Run("AFormIsDrawnAnewForWhatWasChosen", func(t *testing.T) {
		h, p := setup(t)
		level := view.Input{ID: "level", Label: "Level", Required: true, Redraw: true, Field: view.ChoiceField{
			Options: []view.Option{{Value: "m", Label: "Member"}, {Value: "a", Label: "Admin"}},
		}}
		h.answer(form(level, why), form(level, why, view.Input{ID: "more", Label: "More?", Field: view.TextField{Max: 10}}))
		p.Command(t, "x")
		p.Choose(t, "Level", "Admin")
		redraw, ok := h.last(t).Event.(bot.Redraw)
		require.True(t, ok)
		require.Equal(t, bot.Redraw{Form: "request", ID: "opaque", Values: map[string][]string{"level": {"a"}}}, redraw)
		shown, open := p.FormShown(t)
		require.True(t, open)
		require.Contains(t, shown, "More?")
	})

	t.Run("ASearchOffersWhatFits", func(t *testing.T) {
		h, p := setup(t)
		h.answer(form(view.Input{ID: "who", Label: "Who?", Field: view.PersonField{Search: true}}),
			bot.Options{Options: []view.Option{{Value: "p1", Label: "Ana Ruiz", Hint: "ana@acme.example"}}})
		p.Command(t, "x")
		require.Equal(t, []string{"Ana Ruiz"}, p.Search(t, "Who?", "an"))
		search, ok := h.last(t).Event.(bot.Search)
		require.True(t, ok)
		require.Equal(t, bot.Search{Form: "request", ID: "opaque", Input: "who", Text: "an"}, search)
		h.answer(bot.Options{})
		require.Empty(t, p.Search(t, "Who?", "nobody"))
	})

	t.Run("AButtonComesBackWithWhatItCarries", func(t *testing.T) {
		h, p := setup(t)
		ref, err := p.Post(t.Context(), bot.Destination{Account: p.Person()}, view.Message{Summary: "s", Blocks: []view.Block{
			view.Actions{Buttons: []view.Button{{Label: "Approve", Action: "approve", Value: "handle"}, {Label: "Deny", Action: "deny", Value: "handle"}}},
		}})
		require.NoError(t, err)
		p.Press(t, ref, "Approve")
		in := h.last(t)
		require.Equal(t, bot.Press{Action: "approve", Value: "handle"}, in.Event)
		require.Equal(t, &ref, in.Message)
		require.Equal(t, p.Person(), in.From)
	})

	t.Run("AnUpdateReplacesAllOfAMessage", func(t *testing.T) {
		_, p := setup(t)
		ref, err := p.Post(t.Context(), bot.Destination{Account: p.Person()}, tell("Before").Message)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, p.Update(t.Context(), ref, tell("After").Message))
		}
		require.Contains(t, p.Shown(t, ref), "After")
		require.NotContains(t, p.Shown(t, ref), "Before")
	})

	t.Run("EveryEntryOfTheCatalogueIsTaken", func(t *testing.T) {
		h, p := setup(t)
		for _, entry := range viewtest.Catalog() {
			if entry.Form != nil {
				h.answer(bot.OpenForm{Form: *entry.Form})
				p.Command(t, "x")
				_, open := p.FormShown(t)
				require.True(t, open, entry.Name)
				continue
			}
			ref, err := p.Post(t.Context(), bot.Destination{Account: p.Person()}, *entry.Message)
			require.NoError(t, err, entry.Name)
			require.NoError(t, p.Update(t.Context(), ref, *entry.Message), entry.Name)
		}
	})
}
