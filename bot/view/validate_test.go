package view_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/bot/view/viewtest"
)

func TestTheCatalogueIsValid(t *testing.T) {
	t.Parallel()

	for _, entry := range viewtest.Catalog() {
		if entry.Form != nil {
			require.NoError(t, view.ValidateForm(*entry.Form), entry.Name)
		} else {
			require.NoError(t, view.ValidateMessage(*entry.Message), entry.Name)
		}
	}
}

func TestWhatNoPlatformCanShowIsFound(t *testing.T) {
	t.Parallel()

	field := view.TextField{Max: 10}
	input := view.Input{ID: "a", Label: "A", Field: field}
	for name, f := range map[string]view.Form{
		"NoTitle":        {Name: "n"},
		"LongTitle":      {Name: "n", Title: strings.Repeat("x", 25)},
		"InputTwice":     {Name: "n", Title: "t", Submit: "s", Blocks: []view.Block{input, input}},
		"NothingToPress": {Name: "n", Title: "t", Blocks: []view.Block{input}},
		"NoField":        {Name: "n", Title: "t", Submit: "s", Blocks: []view.Block{view.Input{ID: "a", Label: "A"}}},
	} {
		require.Error(t, view.ValidateForm(f), name)
	}
	for name, m := range map[string]view.Message{
		"NoSummary":  {},
		"Input":      {Summary: "s", Blocks: []view.Block{input}},
		"TooMany":    {Summary: "s", Blocks: make([]view.Block, 51)},
		"LongHeader": {Summary: "s", Blocks: []view.Block{view.Header{Text: strings.Repeat("x", 151)}}},
		"LongButton": {Summary: "s", Blocks: []view.Block{view.Actions{Buttons: []view.Button{{Label: strings.Repeat("x", 76), Action: "a"}}}}},
	} {
		require.Error(t, view.ValidateMessage(m), name)
	}
}

func TestTheHashTellsMessagesApart(t *testing.T) {
	t.Parallel()

	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	hash := func(s view.Span) string {
		h, err := view.Hash(view.Message{Blocks: []view.Block{view.Text{Spans: []view.Span{s}}}})
		require.NoError(t, err)
		return h
	}
	require.Equal(t, hash(view.Time(at)), hash(view.Time(at.In(time.FixedZone("x", 3600)))))
	require.NotEqual(t, hash(view.Time(at)), hash(view.Time(at.Add(time.Second))))
	require.NotEqual(t, hash(view.Words("a")), hash(view.Words("b")))
}
