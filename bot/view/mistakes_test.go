package view_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/bot/view/viewtest"
)

func TestTheCatalogueHasEveryWordOfTheVocabulary(t *testing.T) {
	t.Parallel()

	found, names := map[string]bool{}, map[string]bool{}
	note := func(v any) { found[reflect.TypeOf(v).Name()] = true }
	noteSpans := func(spans []view.Span) {
		for _, s := range spans {
			note(s)
		}
	}
	for _, e := range viewtest.Catalog() {
		require.False(t, names[e.Name], "%s is there twice", e.Name)
		names[e.Name] = true
		require.True(t, (e.Message == nil) != (e.Form == nil), "%s is a message or a form", e.Name)
		var blocks []view.Block
		if e.Message != nil {
			blocks = e.Message.Blocks
		} else {
			blocks = e.Form.Blocks
		}
		for _, b := range blocks {
			note(b)
			switch b := b.(type) {
			case view.Text:
				noteSpans(b.Spans)
			case view.Facts:
				for _, f := range b.Facts {
					noteSpans(f.Value)
				}
			case view.Input:
				note(b.Field)
			}
		}
	}
	words := vocabulary(t)
	require.Len(t, words, 16)
	for _, w := range words {
		require.True(t, found[w], "no entry of the catalogue has %s", w)
	}
}

// vocabulary returns the types that are blocks, fields or spans.
func vocabulary(t *testing.T) []string {
	t.Helper()

	file, err := parser.ParseFile(token.NewFileSet(), "view.go", nil, 0)
	require.NoError(t, err)
	var words []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			continue
		}
		switch f.Name.Name {
		case "block", "field", "span":
			words = append(words, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
	}
	return words
}

func words(s string) []view.Span { return []view.Span{view.Words(s)} }

func TestMistakesInMessagesAreNamed(t *testing.T) {
	t.Parallel()

	button := func(change func(*view.Button)) view.Block {
		b := view.Button{Label: "Approve", Action: "approve", Value: "v"}
		change(&b)
		return view.Actions{Buttons: []view.Button{b}}
	}
	confirm := func(change func(*view.Confirm)) view.Block {
		return button(func(b *view.Button) {
			b.Confirm = &view.Confirm{Title: "Sure?", Text: "It stays so.", Yes: "Yes", No: "No"}
			change(b.Confirm)
		})
	}
	for name, tt := range map[string]struct {
		block view.Block
		want  string
	}{
		"EmptyHeader":     {view.Header{Text: " "}, "block 0: header is empty"},
		"LongHeader":      {view.Header{Text: strings.Repeat("é", 151)}, "block 0: header has 151 characters, at most 150 can be shown"},
		"EmptyText":       {view.Text{Spans: words(" \n")}, "block 0: text is empty"},
		"NoFacts":         {view.Facts{}, "no block 0: facts"},
		"FactNoLabel":     {view.Facts{Facts: []view.Fact{{Value: words("x")}}}, "block 0: fact is empty"},
		"NoButtons":       {view.Actions{}, "no block 0: buttons"},
		"TooManyButtons":  {view.Actions{Buttons: make([]view.Button, 26)}, "26 block 0: buttons"},
		"ButtonNoLabel":   {button(func(b *view.Button) { b.Label = "" }), "block 0: button is empty"},
		"ButtonNoAction":  {button(func(b *view.Button) { b.Action = "" }), "block 0: action is empty"},
		"ButtonLongValue": {button(func(b *view.Button) { b.Value = strings.Repeat("x", 2_001) }), "block 0: value has 2001"},
		"ButtonStyle":     {button(func(b *view.Button) { b.Style = "blue" }), `style "blue" is no part of the vocabulary`},
		"ConfirmTitle":    {confirm(func(c *view.Confirm) { c.Title = strings.Repeat("x", 101) }), "confirm's title has 101"},
		"ConfirmText":     {confirm(func(c *view.Confirm) { c.Text = "" }), "confirm's text is empty"},
		"ConfirmYes":      {confirm(func(c *view.Confirm) { c.Yes = strings.Repeat("x", 31) }), "confirm's yes has 31"},
		"ConfirmNo":       {confirm(func(c *view.Confirm) { c.No = "" }), "confirm's no is empty"},
		"LinkNoLabel":     {view.Text{Spans: []view.Span{view.Link{URL: "https://a.example"}}}, "link is empty"},
		"LinkScript":      {view.Text{Spans: []view.Span{view.Link{Label: "x", URL: "javascript:alert(1)"}}}, "is no web address"},
		"NilSpan":         {view.Text{Spans: []view.Span{nil}}, "<nil> is no part of the vocabulary"},
		"Nil":             {nil, "<nil> is no part of the vocabulary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.ErrorContains(t, view.ValidateMessage(view.Message{Summary: "s", Blocks: []view.Block{tt.block}}), tt.want)
		})
	}
}

func TestMistakesInFieldsAreNamed(t *testing.T) {
	t.Parallel()

	option := func(change func(*view.Option)) view.Field {
		o := view.Option{Value: "v", Label: "V"}
		change(&o)
		return view.ChoiceField{Options: []view.Option{o}}
	}
	two := []view.Option{{Value: "v", Label: "V"}, {Value: "w", Label: "W"}}
	for name, tt := range map[string]struct {
		field view.Field
		want  string
	}{
		"LongValue":     {view.TextField{Max: 2, Value: "abc"}, "value has 3 characters"},
		"NoNumber":      {view.NumberField{Value: "2,5"}, `"2,5" is no number`},
		"NoDate":        {view.DateField{Value: "31.12.2026"}, `"31.12.2026" is no date`},
		"NoOptions":     {view.ChoiceField{}, "nothing to choose from"},
		"NoPersons":     {view.PersonField{}, "nothing to choose from"},
		"TwoChosen":     {view.ChoiceField{Options: two, Chosen: []string{"v", "w"}}, "2 are chosen where one can be"},
		"TwoPersons":    {view.PersonField{Options: two, Chosen: []string{"v", "w"}}, "2 are chosen where one can be"},
		"ChosenUnknown": {view.ChoiceField{Options: two, Chosen: []string{"x"}}, `"x" is chosen and no option`},
		"SameOption":    {view.ChoiceField{Options: []view.Option{two[0], two[0]}}, "option v is there twice"},
		"OptionValue":   {option(func(o *view.Option) { o.Value = "" }), "option's value is empty"},
		"LongOption":    {option(func(o *view.Option) { o.Value = strings.Repeat("x", 151) }), "option's value has 151"},
		"OptionLabel":   {option(func(o *view.Option) { o.Label = strings.Repeat("x", 76) }), "option has 76"},
		"OptionHint":    {option(func(o *view.Option) { o.Hint = strings.Repeat("x", 76) }), "option's hint has 76"},
		"OptionGroup":   {option(func(o *view.Option) { o.Group = strings.Repeat("x", 76) }), "option's group has 76"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := view.ValidateForm(view.Form{Name: "f", Title: "T", Submit: "Send", Blocks: []view.Block{
				view.Input{ID: "a", Label: "A", Field: tt.field},
			}})
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestAllMistakesAreNamedAtOnce(t *testing.T) {
	t.Parallel()

	err := view.ValidateForm(view.Form{Blocks: []view.Block{view.Header{}, view.Facts{}}})
	for _, want := range []string{"title is empty", "name is empty", "block 0: header is empty", "no block 1: facts"} {
		require.ErrorContains(t, err, want)
	}
}

func TestPlainText(t *testing.T) {
	t.Parallel()

	at := view.Time(time.Date(2026, time.November, 23, 16, 4, 0, 0, time.FixedZone("CET", 3600)))
	require.Equal(t, "Denied by Bo, 23 Nov 2026, 15:04 UTC x < y more (https://a.example)", view.SpansText([]view.Span{
		view.Strong("Denied"), view.Words(" by Bo, "), at, view.Words(" "), view.Code("x < y"),
		view.Words(" "), view.Link{Label: "more", URL: "https://a.example"},
	}))
}
