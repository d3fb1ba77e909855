package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/webhook"
	"github.com/usher-access/usher/core"
	"github.com/usher-access/usher/core/flow"
	"github.com/usher-access/usher/core/people"
)

var (
	secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("thirty-two bytes that nobody has"))
	older  = "whsec_" + base64.StdEncoding.EncodeToString([]byte("thirty-two bytes of another time"))
)

func order(url string) core.Order {
	return core.Order{
		Key: "5f2c", Verb: core.OrderGrant, Action: flow.Action{Kind: flow.ActionWebhook, Params: map[string]string{"url": url}},
		Request: 12, Requester: people.Person{Email: "ana@acme.example", Name: "Ana Ruiz"}, Resource: "github", Level: "admin",
		Ends: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), Answers: map[string]string{"why": "to <work>"},
	}
}

func send(t *testing.T, o core.Order, secrets ...string) error {
	t.Helper()

	sender, err := webhook.New(secrets, time.Now)
	require.NoError(t, err)
	return sender.Provision(t.Context(), o)
}

func TestAReceiverCanVerifyWhatItIsToldWithEitherSecret(t *testing.T) {
	t.Parallel()

	var headers http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		headers = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	require.NoError(t, send(t, order(server.URL), secret, older))

	for _, known := range []string{secret, older} {
		receiver, err := standardwebhooks.NewWebhook(known)
		require.NoError(t, err)
		require.NoError(t, receiver.Verify(body, headers))
		require.Error(t, receiver.Verify([]byte(strings.Replace(string(body), "ana@", "eve@", 1)), headers))
	}
	require.Equal(t, "5f2c", headers.Get("webhook-id"))
	var got map[string]any
	require.NoError(t, json.Unmarshal(body, &got))
	require.Equal(t, "access.grant", got["type"])
	require.Equal(t, map[string]any{
		"request": "REQ-12", "person": map[string]any{"email": "ana@acme.example", "name": "Ana Ruiz"},
		"resource": "github", "level": "admin", "ends": "2026-12-01T09:00:00Z", "answers": map[string]any{"why": "to <work>"},
	}, got["data"])
}

func TestAnAnswerIsDoneOrRefusedOrWorthAnotherTry(t *testing.T) {
	t.Parallel()

	for _, tt := range []struct {
		status  int
		body    string
		done    bool
		refused bool
		says    string
	}{
		{status: 200, done: true},
		{status: 202, body: "thanks", done: true},
		{status: 400, refused: true, says: "answered 400."},
		{status: 422, body: `{"message": "There is no such account.\n"}`, refused: true, says: "answered 422: There is no such account."},
		{status: 422, body: `{"message": "` + strings.Repeat("ä", 300) + `"}`, refused: true, says: strings.Repeat("ä", 200) + "…."},
		{status: 404, body: "<h1>secret</h1>", refused: true, says: "answered 404."},
		{status: 408}, {status: 409, says: "409"}, {status: 429}, {status: 500}, {status: 503, says: "answered 503."},
		{status: 302, says: "no redirects"},
	} {
		t.Run(http.StatusText(tt.status), func(t *testing.T) {
			t.Parallel()

			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			err := send(t, order(server.URL+"/hook?token=hunter2"), secret)
			require.Equal(t, tt.done, err == nil)
			_, refused := errors.AsType[*core.Refused](err)
			require.Equal(t, tt.refused, refused)
			require.Equal(t, 1, calls)
			if err != nil {
				require.Contains(t, err.Error(), tt.says)
				require.NotContains(t, err.Error(), "secret")
				require.NotContains(t, err.Error(), "hunter2")
			}
		})
	}
}

func TestAnEndlessAnswerIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()

	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"message": "`)
		for {
			if _, err := w.Write([]byte(strings.Repeat("x", 4096))); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	require.ErrorContains(t, send(t, order(server.URL), secret), "answered 500.")
	<-gone
}

func TestAReceiverThatIsAwayIsTriedAgainAndItsAddressIsKeptSecret(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	err := send(t, order(server.URL+"/hook?token=hunter2"), secret)
	require.EqualError(t, err, strings.TrimPrefix(server.URL, "http://")+" can't be reached: nothing listens there")
	_, refused := errors.AsType[*core.Refused](err)
	require.False(t, refused)
}

func TestAReceiverWithoutAValidCertificateIsToldNothing(t *testing.T) {
	t.Parallel()

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was called") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	require.ErrorContains(t, send(t, order(server.URL), secret), "can't be reached: its certificate is not valid")
}

func TestOnlySafeAddressesAreCalled(t *testing.T) {
	t.Parallel()

	for _, address := range []string{
		"", "hooks.acme.example", "ftp://hooks.acme.example", "http://hooks.acme.example", "http://10.0.0.1", "https://ana:pw@hooks.acme.example", "https://",
	} {
		require.Error(t, webhook.CheckURL(address), address)
		err := send(t, order(address), secret)
		_, refused := errors.AsType[*core.Refused](err)
		require.True(t, refused, address)
	}
	for _, address := range []string{"https://hooks.acme.example/x", "https://10.0.0.1", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost"} {
		require.NoError(t, webhook.CheckURL(address), address)
	}
	for _, address := range []string{"https://169.254.169.254/latest", "https://[fe80::1%25lo]", "https://[::ffff:169.254.169.254]", "https://0.0.0.0"} {
		require.ErrorContains(t, send(t, order(address), secret), "webhooks are not sent to", address)
	}
}

func TestASecretIsLongAndWrittenAsTheStandardSays(t *testing.T) {
	t.Parallel()

	require.NoError(t, webhook.CheckSecret(secret))
	for _, wrong := range []string{"", "whsec_", "whsec_c2hvcnQ=", "hunter2", strings.TrimPrefix(secret, "whsec_"), "whsec_!" + strings.TrimPrefix(secret, "whsec_")} {
		err := webhook.CheckSecret(wrong)
		require.ErrorContains(t, err, "openssl")
		_, err = webhook.New([]string{secret, wrong}, time.Now)
		require.Error(t, err)
	}
	_, err := webhook.New(nil, time.Now)
	require.Error(t, err)
}
