// Package slack lets people use usher in Slack: it translates Slack's payloads
// into bot.Interaction, and views into Block Kit.
package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

// DefaultAPIURL is Slack's own.
const DefaultAPIURL = "https://slack.com/api/"

// hooks is where Slack's response_urls are.
const hooks = "https://hooks.slack.com"

// Config is what an Adapter needs. One of SigningSecrets and AppToken must be
// set; with both, AppToken counts.
type Config struct {
	BotToken       string
	AppToken       string   // Socket Mode
	SigningSecrets []string // HTTP; two during a rotation
	APIURL         string   // empty: DefaultAPIURL
	Log            *slog.Logger
	Now            func() time.Time
	Pace           bot.Pace
	Cache          bot.Cache
	// Metrics is told of every call to Slack; may be nil.
	Metrics func(method, result string, took time.Duration)
	// ProfileChanged is told when an account's profile changed; may be nil.
	ProfileChanged func(ctx context.Context, account people.Account) error
}

// Adapter is Slack.
type Adapter struct {
	api      *slack.Client
	http     *http.Client
	apiURL   string
	hookURL  string // the origin that response_urls must have
	token    string
	appToken string
	secrets  []string
	log      *slog.Logger
	now      func() time.Time
	pace     bot.Pace
	cache    bot.Cache
	metrics  func(method, result string, took time.Duration)
	changed  func(ctx context.Context, account people.Account) error
	sleep    func(ctx context.Context, d time.Duration) bool

	later     chan func(context.Context) // what is done after answers
	closing   sync.RWMutex               // held while later is closed
	closed    bool
	afterwork sync.WaitGroup

	mu        sync.Mutex
	workspace workspace // where the app is installed; empty until it is known
}

var _ bot.Adapter = (*Adapter)(nil)

const (
	callWithin = 5 * time.Second
	// maxLater is how much may wait to be said after answers, and laterWorkers
	// how much of it is said at once.
	maxLater     = 1_000
	laterWorkers = 16
)

// New returns an Adapter, which Close ends. It calls nobody.
func New(c Config) (*Adapter, error) {
	if len(c.SigningSecrets) == 0 && c.AppToken == "" {
		return nil, errors.New("set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP")
	}
	if slices.ContainsFunc(c.SigningSecrets, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		return nil, errors.New("SLACK_SIGNING_SECRET must not be empty, because then everybody could sign")
	}
	apiURL := cmp.Or(c.APIURL, DefaultAPIURL)
	if !strings.HasSuffix(apiURL, "/") {
		apiURL += "/"
	}
	u, err := url.Parse(apiURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("SLACK_API_URL must be a URL such as " + DefaultAPIURL)
	}
	if !strings.HasPrefix(c.BotToken, "xoxb-") && !strings.HasPrefix(c.BotToken, "xoxe.") {
		return nil, errors.New("SLACK_BOT_TOKEN must be a bot token, which begins with xoxb-")
	}
	client := &http.Client{
		Timeout: callWithin,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
			ForceAttemptHTTP2: true, TLSHandshakeTimeout: callWithin,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	a := &Adapter{
		api:  slack.New(c.BotToken, slack.OptionHTTPClient(client), slack.OptionAPIURL(apiURL)),
		http: client, apiURL: apiURL, hookURL: hooks,
		token: c.BotToken, appToken: c.AppToken, secrets: c.SigningSecrets,
		log: c.Log, now: c.Now, pace: c.Pace, cache: c.Cache, metrics: c.Metrics, changed: c.ProfileChanged,
		sleep: pause,
		later: make(chan func(context.Context), maxLater),
	}
	if apiURL != DefaultAPIURL {
		a.hookURL = u.Scheme + "://" + u.Host
	}
	for range laterWorkers {
		a.afterwork.Go(a.workLater)
	}
	return a, nil
}

// Platform returns slack.
func (a *Adapter) Platform() people.Platform { return people.Slack }

// Close says what is left to be said after answers. It may be called again.
func (a *Adapter) Close() {
	a.closing.Lock()
	if !a.closed {
		a.closed = true
		close(a.later)
	}
	a.closing.Unlock()
	a.afterwork.Wait()
}

func (a *Adapter) workLater() {
	for do := range a.later {
		ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
		_, err := recovered(func() (ack, error) {
			do(ctx)
			return ack{}, nil
		})
		cancel()
		if err != nil {
			a.log.Error("say something after an answer", "error", err)
		}
	}
}

// afterAnswer does something once Slack has its answer. What is done there
// changes nothing, so when there is too much of it some may be left out.
func (a *Adapter) afterAnswer(do func(context.Context)) {
	if do == nil {
		return
	}
	a.closing.RLock()
	defer a.closing.RUnlock()
	if a.closed {
		a.log.Warn("stopped before everything was said, left an answer out")
		return
	}
	select {
	case a.later <- do:
	default:
		a.log.Warn("too much is waiting to be said, left an answer out")
	}
}

// mayCall reports whether a response_url is one of Slack's own. It is sent to
// us, so anything else could make us call a stranger.
func (a *Adapter) mayCall(responseURL string) bool {
	u, err := url.Parse(responseURL)
	return err == nil && u.User == nil && u.Host != "" && u.Scheme+"://"+u.Host == a.hookURL
}

func (a *Adapter) String() string { return fmt.Sprintf("slack at %s", a.apiURL) }
