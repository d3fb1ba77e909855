package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/usher-access/usher/bot/view"
)

// renderer turns views into HTML. What people typed is escaped by html/template,
// like everything else.
type renderer struct {
	templates *template.Template
	site      string    // usher's own address, whose pages are the reader's too
	base      string    // of the pages' paths
	message   string    // what the buttons stand on; empty: on no message
	of        view.Form // what the inputs stand in
	prefix    string    // of the inputs' IDs, which are unique on a page
	level     int       // of headings
	wholePage bool      // a form is a page of its own
	out       strings.Builder
}

func (a *App) renderer(base string) *renderer {
	return &renderer{templates: a.templates, site: a.URL, base: base, level: 2}
}

// blocks renders what stands on a card or in a form.
func (r *renderer) blocks(blocks []view.Block) (template.HTML, error) {
	for _, b := range blocks {
		if err := r.block(b); err != nil {
			return "", err
		}
	}
	return template.HTML(r.out.String()), nil //nolint:gosec // made by html/template
}

func (r *renderer) put(name string, data any) error {
	if err := r.templates.ExecuteTemplate(&r.out, name, data); err != nil {
		return fmt.Errorf("web: %s: %w", name, err)
	}
	return nil
}

// fact is a fact with its value rendered.
type fact struct {
	Label string
	Value template.HTML
}

func (r *renderer) block(b view.Block) error {
	switch b := b.(type) {
	case view.Header:
		return r.put("header", map[string]any{"Text": b.Text, "Level": r.level})
	case view.Text:
		text, err := r.spans(b.Spans)
		if err != nil {
			return err
		}
		return r.put("text", map[string]any{"Text": text, "Small": b.Small})
	case view.Facts:
		facts := make([]fact, len(b.Facts))
		for i, f := range b.Facts {
			value, err := r.spans(f.Value)
			if err != nil {
				return err
			}
			facts[i] = fact{Label: f.Label, Value: value}
		}
		return r.put("facts", facts)
	case view.Divider:
		return r.put("divider", nil)
	case view.Actions:
		return r.actions(b.Buttons)
	case view.Input:
		return r.input(b)
	default:
		return fmt.Errorf("web can't show %T", b)
	}
}

// spans renders text. Line breaks stay.
func (r *renderer) spans(spans []view.Span) (template.HTML, error) {
	inner := renderer{templates: r.templates}
	for _, s := range spans {
		var err error
		switch s := s.(type) {
		case view.Words:
			err = inner.put("words", string(s))
		case view.Strong:
			err = inner.put("strong", string(s))
		case view.Code:
			err = inner.put("code", string(s))
		case view.Link:
			if path, own := strings.CutPrefix(s.URL, r.site+"/requests/"); own && r.site != "" {
				s.URL = r.base + "/requests/" + path
			}
			err = inner.put("link", s)
		case view.Time:
			err = inner.put("time", map[string]string{
				"ISO": time.Time(s).UTC().Format(time.RFC3339), "Text": s.String(),
			})
		default:
			err = fmt.Errorf("web can't show %T", s)
		}
		if err != nil {
			return "", err
		}
	}
	return template.HTML(inner.out.String()), nil //nolint:gosec // made by html/template
}

// button is a button with what it posts.
type button struct {
	view.Button
	Post string
	Vals string
}

func (r *renderer) actions(buttons []view.Button) error {
	shown := make([]button, len(buttons))
	for i, b := range buttons {
		vals, err := json.Marshal(map[string]string{"action": b.Action, "value": b.Value, "message": r.message})
		if err != nil {
			return fmt.Errorf("web: button %s: %w", b.Label, err)
		}
		shown[i] = button{Button: b, Post: r.base + "/press", Vals: string(vals)}
	}
	return r.put("actions", shown)
}

// field is an input with everything that its template shows.
type field struct {
	view.Input
	HTMLID    string
	Name      string
	Describes string // IDs of the hint and the problem
	Value     string
	Multi     bool
	Groups    []group
	Search    string // where options are searched; empty: they all are there
	Sure      bool   // something is chosen, and it can't be nothing
	Redraws   string // where the form is drawn anew; empty: it stays
	Vals      string // what a search sends along
}

// group is options under one heading; without a label they stand alone.
type group struct {
	Label   string
	Options []option
}

type option struct {
	view.Option
	Chosen bool
	HTMLID string
}

// input names: what was entered comes back as in.ID.
const valuePrefix = "in."

func (r *renderer) input(in view.Input) error {
	f := field{Input: in, HTMLID: r.prefix + in.ID, Name: valuePrefix + in.ID}
	f.Describes = "problem-" + f.HTMLID
	if in.Hint != "" {
		f.Describes = "hint-" + f.HTMLID + " " + f.Describes
	}
	vals, err := json.Marshal(map[string]string{"form": r.of.Name, "id": r.of.ID, "input": in.ID})
	if err != nil {
		return fmt.Errorf("web: input %s: %w", in.ID, err)
	}
	f.Vals = string(vals)
	if in.Redraw {
		f.Redraws = r.base + "/redraw"
	}
	name := ""
	switch v := in.Field.(type) {
	case view.TextField:
		name, f.Value = "input-text", v.Value
		if v.Multiline {
			name = "input-lines"
		}
	case view.NumberField:
		name, f.Value = "input-number", v.Value
	case view.DateField:
		name, f.Value = "input-date", v.Value
	case view.ChoiceField:
		name, f.Multi = r.choices(&f, v.Options, v.Chosen, v.Search, v.Multi), v.Multi
	case view.PersonField:
		name = r.choices(&f, v.Options, v.Chosen, v.Search, false)
	default:
		return fmt.Errorf("web can't show %T", v)
	}
	return r.put(name, f)
}

// choices fills in a field of options and returns how it is shown.
func (r *renderer) choices(f *field, options []view.Option, chosen []string, search, multi bool) string {
	f.Groups = grouped(f.HTMLID, options, chosen)
	f.Sure = f.Required && slices.ContainsFunc(options, func(o view.Option) bool { return slices.Contains(chosen, o.Value) })
	switch {
	case search:
		f.Search = r.base + "/options"
		return "input-search"
	case multi:
		return "input-checks"
	default:
		return "input-select"
	}
}

// grouped puts options of one group together, in the order in which they come.
func grouped(id string, options []view.Option, chosen []string) []group {
	var groups []group
	for i, o := range options {
		at := slices.IndexFunc(groups, func(g group) bool { return g.Label == o.Group })
		if at < 0 {
			groups = append(groups, group{Label: o.Group})
			at = len(groups) - 1
		}
		groups[at].Options = append(groups[at].Options, option{
			Option: o, Chosen: slices.Contains(chosen, o.Value), HTMLID: fmt.Sprint(id, "-", i),
		})
	}
	return groups
}

// formView is a form with everything that its template shows.
type formView struct {
	view.Form
	Base   string
	Inputs []string // IDs, which come back so that problems can be cleared
	Prefix string
	Blocks template.HTML
	// ShowTitle is unset on a page, whose first header is the title at length.
	// A dialog has it in place of that header.
	ShowTitle bool
	WholePage bool
}

func isHeader(b view.Block) bool {
	_, ok := b.(view.Header)
	return ok
}

// prefixOf returns what the IDs of a form's inputs begin with.
func prefixOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "f" + hex.EncodeToString(sum[:4]) + "-"
}

// form renders a form.
func (r *renderer) form(f view.Form) (template.HTML, error) {
	r.of, r.prefix = f, prefixOf(f.ID)
	shown := formView{Form: f, Base: r.base, Prefix: r.prefix, WholePage: r.wholePage}
	if r.wholePage {
		r.level = 1
	}
	blocks := f.Blocks
	if titled := len(blocks) > 0 && isHeader(blocks[0]); !titled || !r.wholePage {
		r.level++
		shown.ShowTitle = true
		if titled {
			shown.Title, blocks = blocks[0].(view.Header).Text, blocks[1:]
		}
	}
	for _, b := range f.Blocks {
		if in, ok := b.(view.Input); ok {
			shown.Inputs = append(shown.Inputs, in.ID)
		}
	}
	var err error
	if shown.Blocks, err = r.blocks(blocks); err != nil {
		return "", err
	}
	r.out.Reset()
	if err := r.put("form", shown); err != nil {
		return "", err
	}
	return template.HTML(r.out.String()), nil //nolint:gosec // made by html/template
}
