package web

import (
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/usher-access/usher/bot"
)

// directoryPage is a page of things that policy names.
type directoryPage struct {
	Note   string
	Search bool
	Text   string // what was searched for
	Link   string // where each thing's own page is, before its name; empty: it has none
	Items  []directoryItem
	None   string
	Next   string // where the next page is; empty: there is none
}

type directoryItem struct {
	bot.Item
	Shown template.HTML
}

// resources lists what the viewer may see the holders of.
func (a *App) resources(w http.ResponseWriter, r *http.Request, v viewer) error {
	text := strings.TrimSpace(r.URL.Query().Get("text"))
	d, err := a.Desk.Resources(r.Context(), v.person, text, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	p := directoryPage{
		Note: "Open one to see who has it, and how it may be asked for.", Search: true, Text: text, Link: v.base + "/resources/",
		None: "You own no resource.",
	}
	if text != "" {
		p.None = "No resource of yours contains “" + text + "”."
	}
	return a.directory(w, r, v, "/resources", "Resources", p, d)
}

// sequences lists approval sequences and what changes with them.
func (a *App) sequences(w http.ResponseWriter, r *http.Request, v viewer) error {
	d, err := a.Desk.Sequences(r.Context(), v.person, r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	return a.directory(w, r, v, "/sequences", "Approval sequences", directoryPage{
		Note: "Requests that run already keep the steps with which they began.", None: "There are no approval sequences.",
	}, d)
}

func (a *App) directory(w http.ResponseWriter, r *http.Request, v viewer, here, title string, p directoryPage, d bot.Directory) error {
	for _, item := range d.Items {
		shown, err := a.renderer(v.base).blocks(item.Blocks)
		if err != nil {
			return err
		}
		p.Items = append(p.Items, directoryItem{Item: item, Shown: shown})
	}
	if d.More != "" {
		q := url.Values{"after": {d.More}}
		if p.Text != "" {
			q.Set("text", p.Text)
		}
		p.Next = v.base + here + "?" + q.Encode()
	}
	return a.open(w, r, v, "directory", here, title, p)
}

// holders shows who has a resource and, first, how it may be asked for.
func (a *App) holders(w http.ResponseWriter, r *http.Request, v viewer) error {
	from, err := below(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	title, l, err := a.Desk.Holders(r.Context(), v.person, name, from)
	if err != nil {
		return err
	}
	p := listPage{None: "Nobody has access through usher."}
	if from == 0 {
		conditions, err := a.Desk.Conditions(r.Context(), v.person, name)
		if err != nil {
			return err
		}
		if p.About, err = a.renderer(v.base).blocks(conditions); err != nil {
			return err
		}
	}
	return a.list(w, r, v, "/resources", "Who has "+title, p, l)
}
