package web_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"crypto/rand"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/usher-access/usher/adapters/adaptertest"
	"github.com/usher-access/usher/adapters/web"
	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/bot/view"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/errs"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
	"github.com/usher-access/usher/store/redisstore"
)

const ana people.ID = "p1"

// desk is what people read, as a test puts it there.
type desk struct {
	mu       sync.Mutex
	messages []view.Message // the request's number is the place, from 1
	inactive bool
}

var errNobody = errs.New(errs.Denied, "Your account is inactive.")

func (d *desk) Reader(context.Context, people.ID) (bot.Reader, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inactive {
		return bot.Reader{}, errNobody
	}
	return bot.Reader{Name: "Ana <b>Ruiz</b>", Teams: []people.Team{{Name: "it", Title: "IT"}}}, nil
}

func (d *desk) Catalogue(_ context.Context, _ people.ID, text string) ([]core.Choice, error) {
	all := []core.Choice{{Name: "new-laptop", Title: "New laptop", Heading: "IT"}, {Name: "mug", Title: "<i>Mug</i>", Heading: "IT"}}
	return slices.DeleteFunc(all, func(c core.Choice) bool {
		return !strings.Contains(strings.ToLower(c.Title), strings.ToLower(text))
	}), nil
}

func (d *desk) listing() bot.Listing {
	d.mu.Lock()
	defer d.mu.Unlock()
	var l bot.Listing
	for i, m := range d.messages {
		l.Entries = append(l.Entries, bot.Entry{ID: core.RequestID(i + 1), Title: "<u>Title</u>", State: string(flow.Pending), Card: m})
	}
	return l
}

func (d *desk) Requests(context.Context, people.ID, bool, core.RequestID) (bot.Listing, error) {
	return d.listing(), nil
}

func (d *desk) Approvals(context.Context, people.ID, core.RequestID) (bot.Listing, error) {
	return d.listing(), nil
}

func (d *desk) ToDo(context.Context, people.ID, core.RequestID) (bot.Listing, error) {
	return d.listing(), nil
}

func (d *desk) Team(_ context.Context, _ people.ID, q core.TeamQuery, _ core.RequestID) (bot.Listing, error) {
	if q.Team != "it" {
		return bot.Listing{}, errs.New(errs.NotFound, "There is no such team.")
	}
	return d.listing(), nil
}

func (d *desk) Access(context.Context, people.ID, bool, core.RequestID) (bot.Listing, error) {
	return d.listing(), nil
}

func (d *desk) Holders(_ context.Context, _ people.ID, resource string, _ core.RequestID) (string, bot.Listing, error) {
	if resource != "github" {
		return "", bot.Listing{}, errs.New(errs.NotFound, "There is no such resource.")
	}
	return "<u>GitHub</u>", d.listing(), nil
}

func (d *desk) Following(context.Context, people.ID, core.RequestID) (bot.Listing, error) {
	return d.listing(), nil
}

func (d *desk) Conditions(context.Context, people.ID, string) ([]view.Block, error) {
	return []view.Block{view.Text{Spans: []view.Span{view.Words("<i>condition</i>")}}}, nil
}

func (d *desk) Resources(_ context.Context, _ people.ID, _, after string) (bot.Directory, error) {
	return d.directory(after), nil
}

func (d *desk) Sequences(_ context.Context, _ people.ID, after string) (bot.Directory, error) {
	return d.directory(after), nil
}

// directory is two pages of one thing each.
func (d *desk) directory(after string) bot.Directory {
	if after != "" {
		return bot.Directory{Items: []bot.Item{{Name: "gitlab", Title: "GitLab"}}}
	}
	about := []view.Block{view.Text{Spans: []view.Span{view.Words("<i>levels</i>")}}}
	return bot.Directory{Items: []bot.Item{{Name: "github", Title: "<u>GitHub</u>", Blocks: about}}, More: "github"}
}

func (d *desk) Delegation(context.Context, people.ID) ([]view.Block, error) {
	return []view.Block{view.Text{Spans: []view.Span{view.Words("<b>nobody</b>")}}}, nil
}

func (d *desk) Sheet(_ context.Context, _ people.ID, id core.RequestID) (bot.Sheet, error) {
	if id > 1 {
		return bot.Sheet{}, errs.New(errs.NotFound, "There is no such request.")
	}
	return bot.Sheet{
		ID: id, Title: "<u>Title</u>", State: flow.Pending, Standing: []view.Span{view.Words("<s>state</s>")},
		Steps:   []bot.SheetStep{{State: flow.StepOpen, Text: []view.Span{view.Words("<q>step</q>")}}},
		History: []bot.Happening{{Text: "<em>history</em>"}},
	}, nil
}

func (d *desk) Latest(context.Context, core.RequestID, int) ([]bot.Happening, error) { return nil, nil }

// person is somebody in front of the web app, with a browser that runs no script
// but does what the page's script would.
type person struct {
	app    *web.App
	desk   *desk
	state  *redisstore.Store
	stop   func() // the app's streams
	url    string
	client *http.Client

	mu   sync.Mutex
	form *html.Node // the form that is open
	told []string
}

func newApp(t *testing.T, h bot.Handler) *person {
	t.Helper()

	state, err := redisstore.Open("", redisstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = state.Close() })
	server := httptest.NewUnstartedServer(nil)
	p := &person{desk: &desk{}, state: state, url: "http://" + server.Listener.Addr().String()}
	p.app, err = web.New(web.Config{
		URL: p.url, Bot: h, Desk: p.desk, State: state, Chat: true,
		Log: slog.New(slog.DiscardHandler), NewID: rand.Text,
	})
	require.NoError(t, err)
	server.Config.Handler = p.app.Handler()
	server.Start()
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { defer close(ran); p.app.Run(ctx) }()
	p.stop = func() { stop(); <-ran }
	t.Cleanup(p.stop)
	p.client = newBrowser(t)
	return p
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()

	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &http.Client{Jar: jar}
}

// another is somebody in front of the same web app with a browser of their own.
func (p *person) another(t *testing.T) *person {
	t.Helper()

	return &person{app: p.app, desk: p.desk, state: p.state, url: p.url, client: newBrowser(t)}
}

// signIn lets the person in, by a link.
func (p *person) signIn(t *testing.T) {
	t.Helper()

	link, err := p.app.SignInLink(t.Context(), ana)
	require.NoError(t, err)
	resp, err := p.client.Post(link, "application/x-www-form-urlencoded", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// ask sends a request as the page's script does.
func (p *person) ask(t *testing.T, method, path string, values url.Values) (*http.Response, *html.Node) {
	t.Helper()

	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(values.Encode())
	} else if len(values) > 0 {
		path += "?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, p.url+path, body)
	require.NoError(t, err)
	req.Header.Set("HX-Request", "true")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := p.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	doc, err := html.Parse(resp.Body)
	require.NoError(t, err)
	return resp, doc
}

// act posts what the person does and takes the answer as the page would. It
// returns the problems that the answer puts at inputs, by the inputs' IDs.
func (p *person) act(t *testing.T, path string, values url.Values) map[string]string {
	t.Helper()

	resp, doc := p.ask(t, http.MethodPost, path, values)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case resp.StatusCode == http.StatusUnprocessableEntity:
		problems := map[string]string{}
		for _, n := range all(doc, has("class", "problem")) {
			if text := content(n); text != "" {
				problems[strings.TrimPrefix(attr(n, "id"), "problem-")] = text
			}
		}
		return problems
	case resp.Header.Get("HX-Retarget") == "#told":
		p.told = append(p.told, content(doc))
	}
	if trigger := resp.Header.Get("HX-Trigger"); strings.Contains(trigger, "usher:done") || strings.Contains(trigger, "usher:filed") {
		p.form = nil
	}
	if forms := all(doc, tag("form")); len(forms) > 0 {
		p.form = forms[0]
	}
	return nil
}

func (p *person) Person() people.Account {
	return people.Account{Platform: people.Web, User: string(ana)}
}

func (p *person) Command(t *testing.T, text string) {
	t.Helper()
	p.act(t, "/say", url.Values{"text": {text}})
}

func (p *person) Post(_ context.Context, _ bot.Destination, m view.Message) (bot.MessageRef, error) {
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	p.desk.messages = append(p.desk.messages, m)
	return bot.MessageRef{Channel: string(ana), ID: core.RequestID(len(p.desk.messages)).String()}, nil
}

func (p *person) Update(_ context.Context, ref bot.MessageRef, m view.Message) error {
	id, err := core.ParseRequestID(ref.ID)
	if err != nil {
		return err
	}
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	p.desk.messages[id-1] = m
	return nil
}

// card is the message as the page of what waits for the person shows it.
func (p *person) card(t *testing.T, ref bot.MessageRef) *html.Node {
	t.Helper()

	resp, doc := p.ask(t, http.MethodGet, "/approvals", nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	cards := all(doc, has("id", ref.ID))
	require.Len(t, cards, 1)
	return cards[0]
}

func (p *person) Press(t *testing.T, ref bot.MessageRef, label string) {
	t.Helper()

	for _, b := range all(p.card(t, ref), tag("button")) {
		if content(b) == label {
			var vals map[string]string
			require.NoError(t, json.Unmarshal([]byte(attr(b, "hx-vals")), &vals))
			values := url.Values{}
			for k, v := range vals {
				values.Set(k, v)
			}
			p.act(t, attr(b, "hx-post"), values)
			return
		}
	}
	require.Fail(t, "there is no button "+label)
}

func (p *person) Shown(t *testing.T, ref bot.MessageRef) string {
	t.Helper()
	return content(p.card(t, ref))
}

func (p *person) Told(*testing.T) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told)
}

func (p *person) FormShown(*testing.T) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.form == nil {
		return "", false
	}
	return content(p.form), true
}

func (p *person) openForm(t *testing.T) *html.Node {
	t.Helper()

	p.mu.Lock()
	defer p.mu.Unlock()
	require.NotNil(t, p.form, "no form is open")
	return p.form
}

// labelled returns the input of the open form with this label.
func labelled(t *testing.T, form *html.Node, label string) *html.Node {
	t.Helper()

	for _, l := range all(form, tag("label")) {
		if strings.TrimSpace(strings.TrimSuffix(content(l), "*")) == label {
			inputs := all(form, has("id", attr(l, "for")))
			require.Len(t, inputs, 1)
			return inputs[0]
		}
	}
	require.Fail(t, "there is no input "+label)
	return nil
}

func (p *person) Fill(t *testing.T, typed map[string]string) map[string]string {
	t.Helper()

	form := p.openForm(t)
	values, labels := entered(t, form, typed)
	found := p.act(t, attr(form, "hx-post"), values)
	problems := map[string]string{}
	for id, text := range found {
		problems[labels[id]] = text
	}
	return problems
}

// Choose changes a choice as the page's script does.
func (p *person) Choose(t *testing.T, label, value string) {
	t.Helper()

	form := p.openForm(t)
	values, _ := entered(t, form, map[string]string{label: value})
	p.act(t, attr(labelled(t, form, label), "hx-post"), values)
}

// entered is what a form sends with texts by label, and the labels by input.
func entered(t *testing.T, form *html.Node, typed map[string]string) (values url.Values, labels map[string]string) {
	t.Helper()

	values, labels = url.Values{}, map[string]string{}
	for _, hidden := range all(form, has("type", "hidden")) {
		values.Add(attr(hidden, "name"), attr(hidden, "value"))
	}
	for label, text := range typed {
		input := labelled(t, form, label)
		labels[attr(input, "id")] = label
		if input.Data == "select" {
			for _, o := range all(input, tag("option")) {
				if content(o) == text {
					text = attr(o, "value")
				}
			}
		}
		// Browsers send line breaks like this.
		values.Set(attr(input, "name"), strings.ReplaceAll(text, "\n", "\r\n"))
	}
	return values, labels
}

func (p *person) Search(t *testing.T, label, typed string) []string {
	t.Helper()

	form := p.openForm(t)
	list := labelled(t, form, label)
	search := all(form, has("id", "search-"+attr(list, "id")))
	require.Len(t, search, 1)
	var vals map[string]string
	require.NoError(t, json.Unmarshal([]byte(attr(search[0], "hx-vals")), &vals))
	values := url.Values{"text": {typed}}
	for k, v := range vals {
		values.Set(k, v)
	}
	resp, err := p.client.Get(p.url + attr(search[0], "hx-get") + "?" + values.Encode())
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	// Options are nothing outside their list.
	doc, err := html.Parse(strings.NewReader("<select>" + string(text) + "</select>"))
	require.NoError(t, err)
	var offered []string
	for _, o := range all(doc, tag("option")) {
		name, _, _ := strings.Cut(content(o), " (")
		offered = append(offered, name)
	}
	return offered
}

func tag(name string) func(*html.Node) bool {
	return func(n *html.Node) bool { return n.Data == name }
}

func has(name, value string) func(*html.Node) bool {
	return func(n *html.Node) bool { return attr(n, name) == value }
}

// all returns the elements that fit, in order.
func all(root *html.Node, fits func(*html.Node) bool) []*html.Node {
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && fits(n) {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func content(root *html.Node) string {
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

func TestTheWebIsAPlatform(t *testing.T) {
	t.Parallel()

	adaptertest.Run(t, func(t *testing.T, h bot.Handler) adaptertest.Platform {
		t.Helper()

		p := newApp(t, h)
		p.signIn(t)
		return p
	})
}
