package slackfake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/slack/slackfake"
)

const ana, channel = "U0ANA0001", "C0TRIAGE01"

func setup(t *testing.T, opts slackfake.Options) (*slackfake.Fake, *slack.Client) {
	t.Helper()

	f := slackfake.New(t, opts)
	f.AddUser(slackfake.User{ID: ana, Name: "Ana", Email: "ana@acme.example"})
	f.AddUser(slackfake.User{ID: "U0GONE001", Name: "Gone", Email: "gone@acme.example", Deleted: true})
	f.AddChannel(channel)
	return f, slack.New("xoxb-test", slack.OptionAPIURL(f.APIURL()))
}

func text(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("mrkdwn", s, false, false)
}

func plain(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", s, false, false)
}

func TestMessagesThatSlackRefusesAreRefused(t *testing.T) {
	t.Parallel()

	section := func(s string) slack.Block { return slack.NewSectionBlock(text(s), nil, nil) }
	many := make([]slack.Block, 51)
	for i := range many {
		many[i] = slack.NewDividerBlock()
	}
	fields := make([]*slack.TextBlockObject, 11)
	for i := range fields {
		fields[i] = text("x")
	}
	button := func(label, value string) slack.Block {
		return slack.NewActionBlock("", slack.NewButtonBlockElement("a", value, plain(label)))
	}
	for _, tt := range []struct {
		name, channel, want string
		options             []slack.MsgOption
	}{
		{"NoSuchChannel", "C0NONE", "channel_not_found", []slack.MsgOption{slack.MsgOptionText("x", false)}},
		{"NoText", channel, "no_text", nil},
		{"TooManyBlocks", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(many...)}},
		{"EmptyText", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(section(""))}},
		{"LongSection", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(section(strings.Repeat("é", 3_001)))}},
		{"LongMessage", channel, "msg_blocks_too_long", []slack.MsgOption{slack.MsgOptionBlocks(
			section(strings.Repeat("x", 3_000)), section(strings.Repeat("x", 3_000)), section(strings.Repeat("x", 3_000)),
			section(strings.Repeat("x", 3_000)), section(strings.Repeat("x", 3_000)))}},
		{"TooManyFields", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(slack.NewSectionBlock(nil, fields, nil))}},
		{"LongButton", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(button(strings.Repeat("x", 76), ""))}},
		{"LongValue", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(button("x", strings.Repeat("x", 2_001)))}},
		{"MarkdownHeader", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(slack.NewHeaderBlock(text("x")))}},
		{"InputInAMessage", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(
			slack.NewInputBlock("a", plain("A"), nil, slack.NewPlainTextInputBlockElement(nil, "a")))}},
		{"SameActionTwice", channel, "invalid_blocks", []slack.MsgOption{slack.MsgOptionBlocks(slack.NewActionBlock("",
			slack.NewButtonBlockElement("a", "", plain("x")), slack.NewButtonBlockElement("a", "", plain("y"))))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()

			f, api := setup(t, slackfake.Options{})
			_, _, err := api.PostMessageContext(t.Context(), tt.channel, tt.options...)
			require.EqualError(t, err, tt.want)
			f.Forgive()
		})
	}
}

func TestAMentionThatSomebodyTypedIsAViolation(t *testing.T) {
	t.Parallel()

	f, api := setup(t, slackfake.Options{})
	_, _, err := api.PostMessageContext(t.Context(), channel, slack.MsgOptionText("<!channel>", false))
	require.NoError(t, err)
	require.Len(t, f.Violations(), 1)
	f.Forgive()
}

func TestUpdatesAreRefusedAsSlackDoes(t *testing.T) {
	t.Parallel()

	f, api := setup(t, slackfake.Options{})
	_, ts, err := api.PostMessageContext(t.Context(), channel, slack.MsgOptionText("x", false))
	require.NoError(t, err)
	for want, call := range map[string][3]string{
		"message_not_found": {channel, "1.1", "y"}, "channel_not_found": {ana, ts, "y"}, "msg_too_long": {channel, ts, strings.Repeat("x", 4_001)},
	} {
		_, _, _, err := api.UpdateMessageContext(t.Context(), call[0], call[1], slack.MsgOptionText(call[2], false))
		require.EqualError(t, err, want)
	}
	f.Archive(channel)
	_, _, _, err = api.UpdateMessageContext(t.Context(), channel, ts, slack.MsgOptionText("y", false))
	require.EqualError(t, err, "is_archived")
}

func TestTokensAndScopesAreChecked(t *testing.T) {
	t.Parallel()

	f, _ := setup(t, slackfake.Options{Scopes: []string{"users:read"}})
	_, err := slack.New("xoxb-wrong", slack.OptionAPIURL(f.APIURL())).AuthTestContext(t.Context())
	require.EqualError(t, err, "invalid_auth")
	api := slack.New("xoxb-test", slack.OptionAPIURL(f.APIURL()))
	_, _, err = api.PostMessageContext(t.Context(), channel, slack.MsgOptionText("x", false))
	require.EqualError(t, err, "missing_scope")
	user, err := api.GetUserInfoContext(t.Context(), ana)
	require.NoError(t, err)
	require.Empty(t, user.Profile.Email, "without its scope the address is not there")
}

func TestPeopleAreLookedUp(t *testing.T) {
	t.Parallel()

	_, api := setup(t, slackfake.Options{})
	user, err := api.GetUserByEmailContext(t.Context(), "ANA@acme.example")
	require.NoError(t, err)
	require.Equal(t, ana, user.ID)
	_, err = api.GetUserByEmailContext(t.Context(), "gone@acme.example")
	require.EqualError(t, err, "users_not_found")
	_, _, _, err = api.OpenConversationContext(t.Context(), &slack.OpenConversationParameters{Users: []string{"U0GONE001"}})
	require.EqualError(t, err, "user_disabled")
}

func TestAFormNeedsATriggerThatIsFreshAndUnused(t *testing.T) {
	t.Parallel()

	f, api := setup(t, slackfake.Options{TriggerTTL: time.Nanosecond})
	modal := slack.ModalViewRequest{Type: slack.VTModal, Title: plain("x"), Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewDividerBlock()}}}
	_, err := api.OpenViewContext(t.Context(), "made.up.trigger", modal)
	require.EqualError(t, err, "invalid_trigger_id")
	message, _, err := api.PostMessageContext(t.Context(), channel, slack.MsgOptionBlocks(slack.NewActionBlock("", slack.NewButtonBlockElement("a", "v", plain("Press")))))
	require.NoError(t, err)
	posted := f.In(message)[0]
	trigger := f.PressPayload(t, ana, posted, "Press")["trigger_id"].(string)
	_, err = api.OpenViewContext(t.Context(), trigger, modal)
	require.EqualError(t, err, "expired_trigger_id")

	fresh, api2 := setup(t, slackfake.Options{})
	_, _, err = api2.PostMessageContext(t.Context(), channel, slack.MsgOptionBlocks(slack.NewActionBlock("", slack.NewButtonBlockElement("a", "v", plain("Press")))))
	require.NoError(t, err)
	trigger = fresh.PressPayload(t, ana, fresh.In(channel)[0], "Press")["trigger_id"].(string)
	_, err = api2.OpenViewContext(t.Context(), trigger, modal)
	require.NoError(t, err)
	_, err = api2.OpenViewContext(t.Context(), trigger, modal)
	require.EqualError(t, err, "exchanged_trigger_id")
	_, open := fresh.View(ana)
	require.True(t, open)
}

func TestFormsThatSlackRefusesAreRefused(t *testing.T) {
	t.Parallel()

	input := slack.NewInputBlock("a", plain("A"), nil, slack.NewPlainTextInputBlockElement(nil, "a"))
	options := make([]*slack.OptionBlockObject, 101)
	for i := range options {
		options[i] = slack.NewOptionBlockObject("v", plain("o"), nil)
	}
	for name, modal := range map[string]slack.ModalViewRequest{
		"LongTitle":      {Title: plain(strings.Repeat("x", 25))},
		"NoSubmit":       {Title: plain("x"), Blocks: slack.Blocks{BlockSet: []slack.Block{input}}},
		"SameInputTwice": {Title: plain("x"), Submit: plain("s"), Blocks: slack.Blocks{BlockSet: []slack.Block{input, input}}},
		"TooManyOptions": {Title: plain("x"), Submit: plain("s"), Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("a", plain("A"), nil, slack.NewOptionsSelectBlockElement("static_select", nil, "a", options...))}}},
		"NoOptions": {Title: plain("x"), Submit: plain("s"), Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewInputBlock("a", plain("A"), nil, slack.NewOptionsSelectBlockElement("static_select", nil, "a"))}}},
		"LongMetadata": {Title: plain("x"), PrivateMetadata: strings.Repeat("x", 3_001), Blocks: slack.Blocks{BlockSet: []slack.Block{slack.NewDividerBlock()}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			f, api := setup(t, slackfake.Options{})
			modal.Type = slack.VTModal
			_, err := api.UpdateViewContext(t.Context(), modal, "", "", "V1")
			require.EqualError(t, err, "invalid_arguments")
			f.Forgive()
		})
	}
}

func TestFaultsHappenAsOftenAsTheyShould(t *testing.T) {
	t.Parallel()

	f, api := setup(t, slackfake.Options{})
	f.Fail("chat.postMessage", slackfake.Fault{Status: 429, RetryAfter: 7})
	f.Fail("chat.postMessage", slackfake.Fault{Status: 500, Applied: true})
	post := func() error {
		_, _, err := api.PostMessageContext(t.Context(), channel, slack.MsgOptionText("x", false))
		return err
	}
	var limited *slack.RateLimitedError
	require.ErrorAs(t, post(), &limited)
	require.Equal(t, 7*time.Second, limited.RetryAfter)
	require.Empty(t, f.In(channel))
	require.Error(t, post())
	require.Len(t, f.In(channel), 1, "it was posted all the same")
	require.NoError(t, post())
}

func TestUnknownMethodsFailTheTest(t *testing.T) {
	t.Parallel()

	f, api := setup(t, slackfake.Options{})
	_, err := api.GetUserGroupsContext(t.Context())
	require.EqualError(t, err, "unknown_method")
	require.Len(t, f.Violations(), 1)
	f.Forgive()
}

func TestSignaturesAreWhatSlackDocuments(t *testing.T) {
	t.Parallel()

	// The example of docs.slack.dev, authentication/verifying-requests-from-slack.
	body := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	h := slackfake.Sign("8f742231b10e8888abcd99yyyzzz85a5", []byte(body), time.Unix(1531420618, 0))
	require.Equal(t, "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503", h.Get("X-Slack-Signature"))
}
