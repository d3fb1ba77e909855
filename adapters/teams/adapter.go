// Package teams lets people use usher in Microsoft Teams: it translates the Bot
// Framework's activities into bot.Interaction, and views into Adaptive Cards.
package teams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-access/usher/bot"
	"github.com/usher-access/usher/core/people"
)

// Config is what an Adapter needs.
type Config struct {
	AppID       string
	Credentials Credentials
	TenantIDs   []string // whose people may use usher; the first is the registration's
	Cloud       string   // empty: public
	TokenURL    string   // empty: the cloud's
	OpenIDURL   string   // empty: the cloud's
	ServiceURLs []string // where the connector may be too; the first where it is until it says so
	GraphURL    string   // empty: the cloud's
	// GraphInstall lets usher install itself for people who are to be told something.
	GraphInstall bool
	// Anonymous accepts and sends without tokens, on the loopback interface only.
	Anonymous bool

	Log    *slog.Logger
	Now    func() time.Time
	Pace   bot.Pace
	Cache  bot.Cache
	Places bot.Places
	// Accounts returns a person's accounts, for views of their own; may be nil.
	Accounts func(ctx context.Context, person people.ID, platform people.Platform) ([]people.Link, error)
	// Metrics is told of every call to Teams; may be nil.
	Metrics func(method, result string, took time.Duration)
	// Reachable is told when usher may talk to an account that it could not reach
	// before; may be nil.
	Reachable func(ctx context.Context, account people.Account) error
}

// Adapter is Microsoft Teams.
type Adapter struct {
	appID     string
	tenants   []string // empty: any, which only Anonymous allows
	services  []string // origins at which the connector may be
	service   string   // where it is until it says so
	graphURL  string
	anonymous bool
	bearers   *bearers
	tokens    *tokens // nil: none are sent
	graph     *tokens // nil: usher does not install itself
	http      *http.Client
	log       *slog.Logger
	now       func() time.Time
	pace      bot.Pace
	cache     bot.Cache
	places    bot.Places
	accounts  func(ctx context.Context, person people.ID, platform people.Platform) ([]people.Link, error)
	metrics   func(method, result string, took time.Duration)
	reachable func(ctx context.Context, account people.Account) error

	later     chan func(context.Context) // what is done after answers
	closing   sync.RWMutex               // held while later is closed
	closed    bool
	afterwork sync.WaitGroup

	mu    sync.Mutex
	noted map[string]bot.Place // places as they were saved last
	turns map[string]time.Time // until when those who wait for a tenant's pace have turns
	app   catalogueApp         // usher in the organisation's catalogue; without ID until it is known
}

var _ bot.Adapter = (*Adapter)(nil)

const (
	callWithin = 5 * time.Second
	// maxLater is how much may wait to be said after answers, and laterWorkers
	// how much of it is said at once.
	maxLater     = 1_000
	laterWorkers = 16
	maxNoted     = 10_000
)

// New returns an Adapter, which Close ends. It calls nobody.
func New(c Config) (*Adapter, error) {
	cloud, err := CloudOf(c.Cloud)
	if err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
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
		appID: c.AppID, tenants: c.TenantIDs, service: cloud.Service, graphURL: cmp.Or(c.GraphURL, cloud.Graph),
		anonymous: c.Anonymous, http: client, log: c.Log, now: c.Now, pace: c.Pace, cache: c.Cache, places: c.Places,
		accounts: c.Accounts, metrics: c.Metrics, reachable: c.Reachable,
		later: make(chan func(context.Context), maxLater), noted: map[string]bot.Place{}, turns: map[string]time.Time{},
	}
	if len(c.ServiceURLs) > 0 {
		a.service = c.ServiceURLs[0]
	}
	for _, host := range cloud.Hosts {
		a.services = append(a.services, "https://"+host)
	}
	// Whoever says where tokens come from and where keys are published is trusted
	// with more than the connector's address.
	for _, u := range slices.Concat(c.ServiceURLs, []string{c.TokenURL, c.OpenIDURL}) {
		if u != "" {
			a.services = append(a.services, originOf(u))
		}
	}
	if !c.Anonymous {
		tokenURL := cmp.Or(c.TokenURL, cloud.TokenURL(c.TenantIDs[0]))
		if a.tokens, err = c.Credentials.source(c.AppID, tokenURL, cloud.Scope, client, c.Now); err != nil {
			return nil, err
		}
		a.bearers = &bearers{appID: c.AppID, issuer: cloud.Issuer, now: c.Now, keys: &keys{
			openID: cmp.Or(c.OpenIDURL, cloud.OpenID), http: client, log: c.Log, now: c.Now,
		}}
		if c.GraphInstall {
			if a.graph, err = c.Credentials.source(c.AppID, tokenURL, cloud.Graph+"/.default", client, c.Now); err != nil {
				return nil, err
			}
		}
	}
	for range laterWorkers {
		a.afterwork.Go(a.workLater)
	}
	return a, nil
}

func (c Config) validate() error {
	if c.Anonymous {
		if c.AppID != "" {
			return errors.New("TEAMS_ANONYMOUS is for a test client without a registration; unset it, or TEAMS_APP_ID")
		}
		return nil
	}
	switch {
	case c.AppID == "":
		return errors.New("TEAMS_APP_ID is missing, without which nobody could prove to be Teams")
	case len(c.TenantIDs) == 0:
		return errors.New("TEAMS_TENANT_ID is missing: it says whose people may use usher")
	}
	for name, u := range map[string]string{"TEAMS_TOKEN_URL": c.TokenURL, "TEAMS_OPENID_URL": c.OpenIDURL, "TEAMS_GRAPH_URL": c.GraphURL} {
		if u != "" && !safeURL(u) {
			return fmt.Errorf("%s must be an https URL", name)
		}
	}
	for _, u := range c.ServiceURLs {
		if !safeURL(u) {
			return errors.New("TEAMS_SERVICE_URL must be an https URL")
		}
	}
	return nil
}

// safeURL reports whether secrets may be sent to a URL: over TLS, or without
// leaving the machine.
func safeURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func originOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// Platform returns teams.
func (a *Adapter) Platform() people.Platform { return people.Teams }

// mayCall reports whether a service URL, which comes with activities, is one of
// Teams's own: usher's token goes there.
func (a *Adapter) mayCall(service string) bool {
	u, err := url.Parse(service)
	if err != nil || u.User != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	if a.anonymous {
		return loopback(u.Hostname())
	}
	return slices.Contains(a.services, originOf(service)) && safeURL(service)
}

// ours reports whether tenants are all among those whose people may use usher.
func (a *Adapter) ours(tenants []string) bool {
	if len(a.tenants) == 0 {
		return true
	}
	return len(tenants) > 0 && !slices.ContainsFunc(tenants, func(t string) bool {
		return !slices.ContainsFunc(a.tenants, func(ours string) bool { return strings.EqualFold(ours, t) })
	})
}

// Close says what is left to be said after answers. It may be called again.
func (a *Adapter) Close() {
	a.closing.Lock()
	if !a.closed {
		a.closed = true
		close(a.later)
	}
	a.closing.Unlock()
	a.afterwork.Wait()
	a.http.CloseIdleConnections()
}

func (a *Adapter) workLater() {
	for do := range a.later {
		ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
		if err := recovered(func() error { do(ctx); return nil }); err != nil {
			a.log.Error("say something after an answer", "error", err)
		}
		cancel()
	}
}

// afterAnswer does something once Teams has its answer. What is done there
// changes nothing, so when there is too much of it some may be left out.
func (a *Adapter) afterAnswer(do func(context.Context)) {
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
