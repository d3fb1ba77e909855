package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
	"github.com/usher-access/usher/adapters/teams/teamsfake"
)

// stage is where people talk, whatever the platform.
type stage interface {
	// say makes somebody say words to usher, and open the form that is answered.
	say(t *testing.T, who, words string)
	// form returns the form that is open in front of somebody.
	form(t *testing.T, who string) (form, bool)
	// submit fills in the form and sends it. It returns what is wrong, by label.
	submit(t *testing.T, who string, values map[string]any) map[string]string
	// choose chooses a value that draws the form anew, with what was entered so far.
	choose(t *testing.T, who, label string, values map[string]any)
	// press presses a button, on anybody's copy, and says yes if asked again.
	press(t *testing.T, who string, c card, label string)
	// aim and fill prepare a press and a form, so that several happen at once.
	aim(t *testing.T, who string, c card, label string) func()
	fill(t *testing.T, who string, values map[string]any) func()
	// lead makes the platform talk to another usher.
	lead(url string)
	// fail lets usher's next messages fail for a while.
	fail()
	// in returns usher's messages to somebody, or in the team's channel.
	in(where string) []card
	// only returns what only this person was told.
	only(who string) []card
	until(t *testing.T, what string, ok func() bool)
}

// card is a message as people see it.
type card struct {
	text    string
	buttons []string
	of      any // the fake's
}

// form is a form as people see it.
type form struct {
	text    string
	inputs  []string
	options func(label string) []string
}

// scene is a running usher and the platform in front of it.
type scene struct {
	stage
	config Config
	usher  *server
	url    string
}

func newScene(t *testing.T, on where) *scene {
	t.Helper()

	s := newPlatform(t, on)
	w := &world{config: s.config}
	w.start(t)
	s.usher, s.url = w.usher, w.url
	s.join(t, w.url)
	return s
}

// newPlatform returns a platform, and a configuration for an usher that nobody
// has started yet.
func newPlatform(t *testing.T, on where) *scene {
	t.Helper()

	if !on.teams {
		f := newSlack(t, on.socket)
		return &scene{stage: slackStage{f}, config: configFor(t, f, on)}
	}
	f := newTeams(t, teamsfake.Options{})
	c := configFor(t, nil, on)
	c.Teams = teamsConfig(f)
	return &scene{stage: &teamsStage{f}, config: c}
}

// join leads the platform to an usher for the first time.
func (s *scene) join(t *testing.T, url string) {
	t.Helper()

	s.lead(url)
	switch p := s.stage.(type) {
	case slackStage:
		if s.config.SlackAppToken != "" {
			p.Until(t, "a connection", func() bool { return p.Connected() > 0 })
		}
	case *teamsStage:
		p.Join(t, ivy, teamsTriage)
	}
}

// newMixed returns one usher on both platforms. Bo has no account in Teams, and
// Cy none in Slack.
func newMixed(t *testing.T, on where, notify string) (inSlack, inTeams *scene) {
	t.Helper()

	sf := newSlack(t, on.socket)
	sf.AddUser(slackfake.User{ID: cy, Name: "Cy", Email: "cy@elsewhere.example"})
	tf := newTeams(t, teamsfake.Options{})
	tf.AddUser(teamsfake.User{ID: bo, Name: "Bo", Email: "bo@elsewhere.example"})
	w := &world{Fake: sf, config: configFor(t, sf, on)}
	w.config.Teams, w.config.Notify = teamsConfig(tf), notify
	w.start(t)
	sf.SetApp(w.url)
	tf.SetApp(w.url)
	tf.Join(t, ivy, teamsTriage)
	return &scene{slackStage{sf}, w.config, w.usher, w.url}, &scene{&teamsStage{tf}, w.config, w.usher, w.url}
}

// wherever runs a story on each platform, and on each way to run usher.
func wherever(t *testing.T, story func(t *testing.T, s *scene)) {
	t.Helper()
	t.Parallel()

	for name, on := range map[string]where{
		"SlackOverHTTP":          {},
		"SlackOverSocket":        {socket: true},
		"SlackPostgresWithRedis": {postgres: true, redis: true},
		"Teams":                  {teams: true},
		"TeamsPostgresWithRedis": {teams: true, postgres: true, redis: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, newScene(t, on))
		})
	}
}

// onPostgres runs a story on each platform where races show.
func onPostgres(t *testing.T, story func(t *testing.T, s *scene)) {
	t.Helper()
	t.Parallel()

	for name, on := range map[string]where{
		"Slack": {postgres: true, redis: true}, "Teams": {teams: true, postgres: true, redis: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, newScene(t, on))
		})
	}
}

// forward makes usher's clock go ahead, and what is due by then happen.
func (s *scene) forward(t *testing.T, d time.Duration) {
	t.Helper()

	require.NoError(t, s.usher.forward(t.Context(), d))
}

// inBoth runs a story on each platform.
func inBoth(t *testing.T, story func(t *testing.T, s *scene)) {
	t.Helper()
	under(t, "", story)
}

// under runs a story on each platform, with a policy of its own.
func under(t *testing.T, policy string, story func(t *testing.T, s *scene)) {
	t.Helper()
	t.Parallel()

	for name, on := range map[string]where{"Slack": {}, "Teams": {teams: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on.policy = policy
			story(t, newScene(t, on))
		})
	}
}

// ask files a request and returns the requester's card.
func (s *scene) ask(t *testing.T, who, words string, values map[string]any) card {
	t.Helper()

	known := map[string]bool{}
	for _, c := range s.in(who) {
		known[requestOf(c)] = true
	}
	s.say(t, who, words)
	require.Empty(t, s.submit(t, who, values))
	return s.wait(t, who, "the requester's card", func(c card) bool { return requestOf(c) != "" && !known[requestOf(c)] })
}

// requestOf is the request that a card is about, or "".
func requestOf(c card) string {
	first, _, _ := strings.Cut(c.text, " ")
	if !strings.HasPrefix(first, "REQ-") {
		return ""
	}
	return first
}

// wait waits for a message and returns it.
func (s *scene) wait(t *testing.T, where, what string, ok func(card) bool) card {
	t.Helper()

	var found card
	s.until(t, what, func() bool {
		for _, c := range slices.Backward(s.in(where)) {
			if ok(c) {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

// waitText waits for a message that says all of the words.
func (s *scene) waitText(t *testing.T, where string, words ...string) card {
	t.Helper()

	return s.wait(t, where, "a message to "+where+" that says "+strings.Join(words, " … "), func(c card) bool { return c.says(words...) })
}

// closed waits for a message that says all of the words and has no buttons.
func (s *scene) closed(t *testing.T, where string, words ...string) card {
	t.Helper()

	return s.wait(t, where, "a closed message to "+where+" that says "+strings.Join(words, " … "), func(c card) bool {
		return len(c.buttons) == 0 && c.says(words...)
	})
}

func (c card) says(words ...string) bool {
	for _, w := range words {
		if !strings.Contains(c.text, w) {
			return false
		}
	}
	return true
}

// shown reports whether a message says the words.
func (s *scene) shown(where string, words ...string) bool {
	return slices.ContainsFunc(s.in(where), func(c card) bool { return c.says(words...) })
}

// within waits as until does, for as long as it may take.
func (s *scene) within(t *testing.T, patience time.Duration, what string, ok func() bool) {
	t.Helper()

	require.Eventually(t, ok, patience, 50*time.Millisecond, what)
}

// told waits until somebody was told something that nobody else sees.
func (s *scene) told(t *testing.T, who string, words ...string) card {
	t.Helper()

	var found card
	s.until(t, "only "+who+" to be told "+strings.Join(words, " … "), func() bool {
		for _, c := range slices.Backward(s.only(who)) {
			if c.says(words...) {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

// slackStage is Slack.
type slackStage struct{ *slackfake.Fake }

func (s slackStage) say(t *testing.T, who, words string) { s.Slash(t, who, words) }

func (s slackStage) form(_ *testing.T, who string) (form, bool) {
	v, ok := s.View(who)
	return form{text: v.Text(), inputs: v.Inputs(), options: v.Options}, ok
}

func (s slackStage) submit(t *testing.T, who string, values map[string]any) map[string]string {
	return s.Submit(t, who, values).Errors
}

func (s slackStage) choose(t *testing.T, who, label string, values map[string]any) {
	s.Choose(t, who, label, values)
}

func (s slackStage) press(t *testing.T, who string, c card, label string) {
	s.Send(t, s.PressPayload(t, who, c.of.(slackfake.Message), label))
}

func (s slackStage) aim(t *testing.T, who string, c card, label string) func() {
	payload := s.PressPayload(t, who, c.of.(slackfake.Message), label)
	return func() { s.Send(t, payload) }
}

func (s slackStage) fill(t *testing.T, who string, values map[string]any) func() {
	payload, v := s.SubmitPayload(t, who, values)
	return func() { s.SendSubmission(t, payload, v) }
}

func (s slackStage) lead(url string) { s.SetApp(url) }

func (s slackStage) fail() { s.Fail("chat.postMessage", slackfake.Fault{Status: 503, Times: 3}) }

func (s slackStage) in(where string) []card {
	messages := s.DM(where)
	if where == triage {
		messages = s.In(where)
	}
	return slackCards(messages)
}

func (s slackStage) only(who string) []card { return slackCards(s.Ephemerals(who)) }

func slackCards(messages []slackfake.Message) []card {
	cards := make([]card, len(messages))
	for i, m := range messages {
		cards[i] = card{text: m.Text(), buttons: m.Buttons(), of: m}
	}
	return cards
}

func (s slackStage) until(t *testing.T, what string, ok func() bool) { s.Until(t, what, ok) }

// teamsTriage is the team's channel in Teams.
const teamsTriage = "19:triage@thread.tacv2"

// everybody are the people of the stories, by account.
var everybody = map[string]string{ana: "Ana", bo: "Bo", cy: "Cy", di: "Di", ed: "Ed", ivy: "Ivy", jo: "Jo"}

func newTeams(t *testing.T, opts teamsfake.Options) *teamsfake.Fake {
	t.Helper()

	// Worlds share one Redis, so each organisation has a tenant of its own.
	opts.Tenant = "tenant-" + strings.ToLower(newID()[:10])
	f := teamsfake.New(t, opts)
	for id, name := range everybody {
		f.AddUser(teamsfake.User{ID: id, Name: name, Email: strings.ToLower(name) + "@acme.example"})
	}
	f.AddUser(teamsfake.User{ID: "U0EVE0001", Name: "Eve", Email: "eve@elsewhere.example"})
	f.AddChannel(teamsTriage)
	return f
}

func teamsConfig(f *teamsfake.Fake) TeamsConfig {
	return TeamsConfig{
		AppID: f.AppID(), AppPassword: f.Secret(), TenantID: []string{f.Tenant()},
		TokenURL: f.TokenURL(), OpenIDURL: f.OpenIDURL(), ServiceURL: []string{f.ServiceURL()}, GraphURL: f.GraphURL(),
	}
}

// teamsStage is Teams.
type teamsStage struct{ *teamsfake.Fake }

func (s *teamsStage) say(t *testing.T, who, words string) {
	before := len(s.DM(who))
	require.Equal(t, 200, s.Say(t, who, words).Status)
	s.Until(t, "an answer", func() bool { return len(s.DM(who)) > before })
	all := s.DM(who)
	if last := all[len(all)-1]; slices.Equal(last.Buttons(), []string{"Open form"}) {
		s.Click(t, who, last, "Open form")
	}
}

func (s *teamsStage) form(_ *testing.T, who string) (form, bool) {
	if d, ok := s.Dialog(who); ok {
		return form{text: d.Text(), inputs: d.Inputs(), options: d.Options}, true
	}
	m, ok := s.Asked(who)
	return form{text: m.Text(), inputs: m.Inputs(), options: m.Options}, ok
}

func (s *teamsStage) submit(t *testing.T, who string, values map[string]any) map[string]string {
	found := maps.Clone(s.Submit(t, who, values).Problems)
	delete(found, "")
	return found
}

func (s *teamsStage) choose(t *testing.T, who, _ string, values map[string]any) {
	s.SubmitWith(t, who, "Show what fits", values)
}

func (s *teamsStage) press(t *testing.T, who string, c card, label string) {
	m := c.of.(teamsfake.Message)
	s.Show(t, who, m, s.Send(t, s.PressPayload(t, who, m, label, nil)))
	if d, ok := s.Dialog(who); ok && len(d.Inputs()) == 0 && slices.Contains(d.Buttons(), label) {
		s.SubmitWith(t, who, label, nil)
	}
}

func (s *teamsStage) aim(t *testing.T, who string, c card, label string) func() {
	m := c.of.(teamsfake.Message)
	activity := s.PressPayload(t, who, m, label, nil)
	return func() { s.Show(t, who, m, s.Send(t, activity)) }
}

func (s *teamsStage) fill(t *testing.T, who string, values map[string]any) func() {
	d, ok := s.Dialog(who)
	require.True(t, ok)
	activity := s.SubmitPayload(t, who, d.Buttons()[0], values)
	return func() { s.SendSubmission(t, who, activity) }
}

func (s *teamsStage) lead(url string) { s.SetApp(url) }

func (s *teamsStage) fail() {
	s.Fail("POST activities", teamsfake.Fault{Status: 503, Times: 3})
}

func (s *teamsStage) in(where string) []card {
	messages := s.DM(where)
	if where == triage {
		messages = s.In(teamsTriage)
	}
	cards := make([]card, 0, len(messages))
	for _, m := range messages {
		cards = append(cards, card{text: m.Text(), buttons: m.Buttons(), of: m})
	}
	return cards
}

// only are answers in the person's own chat, and what was shown for a moment.
func (s *teamsStage) only(who string) []card {
	cards := s.in(who)
	for _, text := range s.Only(who) {
		cards = append(cards, card{text: text})
	}
	return cards
}

func (s *teamsStage) until(t *testing.T, what string, ok func() bool) { s.Until(t, what, ok) }
