package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/teams/teamsfake"
)

// newTeamsScene returns a scene on Teams and what is Teams's own there.
func newTeamsScene(t *testing.T, opts teamsfake.Options, change func(c *Config)) (*scene, *teamsfake.Fake) {
	t.Helper()

	f := newTeams(t, opts)
	w := &world{config: configFor(t, nil, where{})}
	w.config.Teams = teamsConfig(f)
	if change != nil {
		change(&w.config)
	}
	w.start(t)
	f.SetApp(w.url)
	f.Join(t, ivy, teamsTriage)
	return &scene{&teamsStage{f}, w.config, w.usher, w.url}, f
}

func TestStoryThoseWhoAreAskedCanActInTheTeamsChannel(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	s.ask(t, ana, "mug", nil)
	s.waitText(t, bo, "REQ-1") // now usher knows Bo here
	s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Ask for more information")
	require.Empty(t, s.submit(t, bo, map[string]any{"Question": "Which colour?"}))
	s.waitText(t, triage, "REQ-1", "Which colour?")
	post := f.In(teamsTriage)[0]
	f.Look(t, bo, post)
	mine := f.Seen(teamsTriage, bo)[0]
	require.Contains(t, mine.Buttons(), "Approve")
	require.NotContains(t, f.In(teamsTriage)[0].Buttons(), "Approve", "others see the same as before")
	f.Look(t, jo, post)
	require.NotContains(t, f.Seen(teamsTriage, jo)[0].Buttons(), "Approve")
	f.Click(t, bo, mine, "Approve")
	s.waitText(t, ana, "Done", "Approved by Bo Lind")
	s.closed(t, bo, "Approved by Bo Lind")
	s.closed(t, triage, "Done")
}

func TestStoryTheClickedCardIsReplacedInTheAnswer(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	s.ask(t, ana, "database", map[string]any{"Why": "x"})
	ask := s.waitText(t, bo, "REQ-1").of.(teamsfake.Message)
	a := f.Send(t, f.PressPayload(t, bo, ask, "Approve", nil))
	var body struct {
		StatusCode int    `json:"statusCode"`
		Type       string `json:"type"`
		Value      any    `json:"value"`
	}
	require.NoError(t, json.Unmarshal(a.Body, &body))
	require.Equal(t, "application/vnd.microsoft.card.adaptive", body.Type)
	f.Show(t, bo, ask, a)
	require.Contains(t, f.DM(bo)[0].Text(), "1 of 2 approved: Bo Lind")
	require.Empty(t, f.DM(bo)[0].Buttons())
	again := f.Replay(t)
	require.Equal(t, http.StatusOK, again.Status)
	require.Contains(t, string(again.Body), "1 of 2 approved: Bo Lind", "a click that comes again changes nothing")
	s.waitText(t, ana, "1 of 2 approved: Bo Lind")
}

func TestStoryAChannelIsAnsweredInPrivate(t *testing.T) {
	t.Parallel()

	for name, opts := range map[string]teamsfake.Options{"Targeted": {}, "WithoutTargeted": {NoTargeted: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			s, f := newTeamsScene(t, opts, nil)
			require.Equal(t, http.StatusOK, f.Mention(t, cy, teamsTriage, "help").Status)
			s.told(t, cy, "cancel REQ-1")
			require.Empty(t, f.In(teamsTriage), "nobody else sees it")

			f.Mention(t, ana, teamsTriage, "new laptop")
			s.told(t, ana, "New laptop")
			var opener teamsfake.Message
			f.Until(t, "a button", func() bool {
				for _, m := range append(f.Seen(teamsTriage, ana), f.DM(ana)...) {
					if strings.Join(m.Buttons(), "") == "Open form" {
						opener = m
						return true
					}
				}
				return false
			})
			f.Click(t, bo, opener, "Open form")
			require.Contains(t, f.Flashes(bo), "This form is no longer valid. Close it, and ask for a new one.", "it is Ana's")
			f.Click(t, ana, opener, "Open form")
			require.Empty(t, s.submit(t, ana, laptop("13 inch", "x")))
			s.waitText(t, ana, "REQ-1", "Pending")
		})
	}
}

func TestStoryTheMessageExtensionAsksForAccess(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	for i, from := range []string{"compose", "commandBox", "message"} {
		// On a busy machine usher may ask to try again in a moment.
		f.Until(t, "the form to open", func() bool {
			f.Extension(t, ana, teamsTriage, from)
			d, open := f.Dialog(ana)
			return open && len(d.Inputs()) > 0
		})
		require.Empty(t, s.submit(t, ana, map[string]any{"What do you need?": "New laptop"}))
		problems := s.submit(t, ana, laptop("13 inch", "  "))
		require.Equal(t, map[string]string{"What is it for?": "Please answer this."}, problems)
		require.Empty(t, s.submit(t, ana, map[string]any{"What is it for?": "To work"}), "the model was kept")
		s.waitText(t, ana, []string{"REQ-1", "REQ-2", "REQ-3"}[i], "13 inch", "To work")
	}
}

func TestStoryWhoHasNoAppIsToldOnceItIsInstalled(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	f.AddUser(teamsfake.User{ID: bo, Name: "Bo", Email: "bo@acme.example", Away: true})
	s.ask(t, ana, "mug", nil)
	s.waitText(t, triage, "Bo Lind could not be told: not_installed", "Install the app")
	s.waitText(t, ivy, "Bo Lind could not be told")
	f.Install(t, bo)
	ask := s.waitText(t, bo, "REQ-1", "Coffee mug")
	s.wait(t, triage, "a team that knows that he was told", func(c card) bool { return !c.says("could not be told") })
	s.press(t, bo, ask, "Approve")
	s.waitText(t, ana, "Done")

	f.Uninstall(t, bo)
	s.ask(t, ana, "mug", nil)
	s.waitText(t, triage, "REQ-2", "Bo Lind could not be told: not_installed")
}

func TestStoryUsherInstallsItselfWhereItMay(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, func(c *Config) { c.Teams.GraphInstall = true })
	f.Catalogue()
	f.AddUser(teamsfake.User{ID: bo, Name: "Bo", Email: "bo@acme.example", Away: true})
	s.ask(t, ana, "mug", nil)
	s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Approve")
	s.waitText(t, ana, "Done")
	require.Equal(t, 1, f.Installs())
}

func TestStoryWhoHasBlockedUsherIsShownToThoseWhoCare(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	s.ask(t, ana, "mug", nil)
	s.waitText(t, bo, "REQ-1")
	f.AddUser(teamsfake.User{ID: bo, Name: "Bo", Email: "bo@acme.example", Blocked: true})
	s.ask(t, ana, "mug", nil)
	s.waitText(t, triage, "REQ-2", "Bo Lind could not be told: ConversationBlockedByUser")
	before := len(f.Calls("POST activities"))
	s.ask(t, ana, "mug", nil)
	s.waitText(t, triage, "REQ-3", "Bo Lind could not be told")
	for _, c := range f.Calls("POST activities")[before:] {
		require.NotEqual(t, http.StatusForbidden, c.Status, "who has blocked usher is left alone")
	}
}

func TestStoryGuestsAndStrangersOfTeamsAreRefused(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	s.ask(t, ana, "mug", nil)
	ask := s.waitText(t, bo, "REQ-1").of.(teamsfake.Message)
	f.AddUser(teamsfake.User{ID: "guest", Name: "Guest", Email: "bo@acme.example", Role: "guest"})
	f.AddUser(teamsfake.User{ID: "ext", Name: "Ext", Email: "bo@acme.example", UPN: "bo_acme.example#EXT#@other.example"})
	f.AddUser(teamsfake.User{ID: "visitor", Name: "Visitor", Email: "bo@acme.example", Role: "anonymous"})
	f.AddUser(teamsfake.User{ID: "gus", Name: "Gus", Email: "gus@acme.example"})
	f.AddUser(teamsfake.User{ID: "nomail", Name: "No", UPN: " "})
	for user, says := range map[string]string{
		"guest": "guest account", "ext": "guest account", "visitor": "guest account", "gus": "inactive",
		"U0EVE0001": "Nobody is known here by your e-mail address", "nomail": "no e-mail address",
	} {
		// Whose message it is doesn't matter: the activity says who clicked.
		a := f.PressPayload(t, user, ask, "Approve", nil)
		a["conversation"] = f.Activity(user, teamsTriage, "invoke")["conversation"]
		f.Show(t, user, ask, f.Send(t, a))
		s.told(t, user, says)
	}
	// Somebody of another tenant is not even heard.
	f.AddUser(teamsfake.User{ID: "foreign", Name: "Foreign", Email: "bo@acme.example", Tenant: "another"})
	require.Equal(t, http.StatusForbidden, f.Send(t, f.PressPayload(t, "foreign", ask, "Approve", nil)).Status)
	s.waitText(t, ana, "Pending")

	f.AddUser(teamsfake.User{ID: "bo-2", Name: "Bo", Email: "", UPN: "BO@Acme.Example"})
	a := f.PressPayload(t, "bo-2", ask, "Approve", nil)
	a["conversation"] = f.Activity("bo-2", teamsTriage, "invoke")["conversation"]
	f.Send(t, a)
	s.waitText(t, ana, "Done", "Bo Lind")
}

func TestStoryTeamsIsAwayForAWhile(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	f.Fail("POST activities", teamsfake.Fault{Status: 429, Code: "Throttled", RetryAfter: 1})
	f.Fail("POST activities", teamsfake.Fault{Status: 412, Code: "PreconditionFailed"})
	f.Fail("POST activities", teamsfake.Fault{Status: 502})
	f.Fail("POST activities", teamsfake.Fault{Status: 500})
	f.Fail("PUT activities", teamsfake.Fault{Status: 503})
	f.Fail("POST conversations", teamsfake.Fault{Status: 504})
	s.ask(t, ana, "mug", nil)
	f.Revoke() // another token is fetched
	s.press(t, bo, s.waitText(t, bo, "REQ-1"), "Approve")
	s.waitText(t, ana, "Done")
	s.waitText(t, triage, "Done")
	require.Len(t, s.in(triage), 1)
}

func TestDoctorChecksTheRegistration(t *testing.T) {
	t.Parallel()

	_, f := newTeamsScene(t, teamsfake.Options{PackageVersion: "0.9.0"}, nil)
	f.Catalogue()
	c := configFor(t, nil, where{})
	c.Teams = teamsConfig(f)
	c.Teams.GraphInstall = true
	doctor := func() string {
		var out strings.Builder
		err := doctorCommand{}.Run(t.Context(), &c, streams{out: &out, err: &out})
		require.ErrorIs(t, err, exit(1))
		return out.String()
	}
	said := doctor()
	require.Contains(t, said, "✓ Teams registration")
	require.Contains(t, said, "✓ Teams keys")
	require.Contains(t, said, "✗ Teams endpoint")
	require.Contains(t, said, "✗ Teams package: the catalogue's is 0.9.0")
	require.NotContains(t, said, f.Secret())
	c.Teams.AppPassword = "wrong"
	said = doctor()
	require.Contains(t, said, "✗ Teams registration: no token: status 401 invalid_client AADSTS7000215")
	require.Contains(t, said, "Copy the secret's value, not its ID")
}

// usherData is what usher's button carries in an activity.
func usherData(t *testing.T, activity map[string]any) map[string]any {
	t.Helper()

	value := activity["value"].(map[string]any)
	if action, ok := value["action"].(map[string]any); ok {
		value = action
	}
	return value["data"].(map[string]any)["usher"].(map[string]any)
}

func TestStoryForgedDataOfTeamsChangesNothing(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	s.ask(t, ana, "laptop", laptop("16 inch", "x"))
	ask := s.waitText(t, bo, "REQ-1").of.(teamsfake.Message)
	for _, value := range []string{"", "1", "REQ-1", "x.0.manager", "....", strings.Repeat("a", 2000)} {
		a := f.PressPayload(t, bo, ask, "Approve", nil)
		usherData(t, a)["value"] = value
		before := len(f.Flashes(bo))
		f.Show(t, bo, ask, f.Send(t, a))
		require.Len(t, f.Flashes(bo), before+1)
	}
	// A button of one step can't be turned on another, and not by somebody else.
	a := f.PressPayload(t, cy, ask, "Approve", nil)
	data := usherData(t, a)
	data["value"] = strings.Replace(data["value"].(string), "manager", "budget", 1)
	f.Send(t, a)
	// Nobody looks at somebody else's card.
	a = f.PressPayload(t, cy, ask, "Approve", nil)
	usherData(t, a)["do"] = "look"
	answer := f.Send(t, a)
	require.Contains(t, string(answer.Body), "application/vnd.microsoft.error")
	require.NotContains(t, string(answer.Body), "16 inch")
	s.waitText(t, ana, "Pending", "Bo Lind")

	s.press(t, bo, card{of: ask}, "Deny")
	deny := f.SubmitPayload(t, bo, "Deny", map[string]any{"Reason": "No"})
	usherData(t, deny)["id"] = "somebody-elses.0.manager"
	f.SendSubmission(t, bo, deny)
	s.say(t, ana, "laptop")
	file := f.SubmitPayload(t, ana, "Submit", laptop("13 inch", "x"))
	usherData(t, file)["id"] = "forged"
	usherData(t, file)["key"] = "forged"
	f.SendSubmission(t, ana, file)
	d, open := f.Dialog(ana)
	require.True(t, open)
	require.Contains(t, d.Text(), "no longer valid")
	require.Contains(t, d.Text(), "13 inch", "what was entered can still be read")
	s.press(t, bo, card{of: ask}, "Approve")
	s.waitText(t, ana, "Approved by Bo Lind", "Cy Abara")
	for _, c := range s.in(ana) {
		require.NotContains(t, c.text, "REQ-2")
	}
}

func TestStoryOneFormOfTeamsIsOneRequest(t *testing.T) {
	t.Parallel()

	s, f := newTeamsScene(t, teamsfake.Options{}, nil)
	s.say(t, ana, "new LAPTOP")
	require.Equal(t, map[string]string{"What is it for?": "Please answer this."}, s.submit(t, ana, laptop("13 inch", "   ")))
	forged := map[string]any{"value": "20 inch"}
	problems := s.submit(t, ana, map[string]any{"Which model?": forged, "What is it for?": "x"})
	require.Contains(t, problems["Which model?"], "offered")
	long := strings.Repeat("é", 3000)
	file := f.SubmitPayload(t, ana, "Submit", laptop("13 inch", long))
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { f.Send(t, file) })
	}
	all.Wait()
	f.SendSubmission(t, ana, file)
	s.waitText(t, ana, "REQ-1", long)
	s.say(t, ana, "status")
	status := s.told(t, ana, "Your open requests")
	require.Equal(t, 1, strings.Count(status.text, "REQ-"))
	// A message that comes again is answered once.
	before := len(f.DM(ana))
	f.Say(t, ana, "help")
	f.Until(t, "help", func() bool { return len(f.DM(ana)) == before+1 })
	f.Replay(t)
	s.say(t, ana, "status")
	require.Len(t, f.DM(ana), before+2)
}
