package teams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"golang.org/x/sync/singleflight"
)

const (
	// leeway is how wrong clocks may be, and keysFresh how long keys are used
	// before they are read again.
	// Source: learn.microsoft.com, bot-framework-rest-connector-authentication.
	leeway    = 5 * time.Minute
	keysFresh = 24 * time.Hour
	// unknownAgain is how often an unknown key may make usher read the keys.
	unknownAgain = time.Hour
	// failedAgain keeps requests from hammering a key server that is down.
	failedAgain = 10 * time.Second
	keysWithin  = 5 * time.Second
	maxKeys     = 1 << 20 // bytes of what the key server answers
)

// errToken is a bearer token that doesn't prove that Teams made the request.
var errToken = errors.New("the token is not one of the Bot Framework's for this bot")

// bearers checks the tokens that the connector sends with each activity.
type bearers struct {
	appID  string
	issuer string
	keys   *keys
	now    func() time.Time
}

// claims are what a valid token says about the activity that it came with.
type claims struct {
	service      string   // the service URL that the activity must have
	endorsements []string // the channels that its key stands for
}

// verify returns what an Authorization header proves, or errToken.
func (b *bearers) verify(ctx context.Context, header string) (claims, error) {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return claims{}, errToken
	}
	signed, err := jws.Parse([]byte(token), jws.WithCompact())
	if err != nil || len(signed.Signatures()) != 1 {
		return claims{}, errToken
	}
	protected := signed.Signatures()[0].ProtectedHeaders()
	alg, hasAlg := protected.Algorithm()
	kid, hasKid := protected.KeyID()
	if !hasAlg || alg != jwa.RS256() || !hasKid {
		return claims{}, errToken
	}
	// Whoever writes a token with other claims must not make usher read keys.
	rules := []jwt.ParseOption{
		jwt.WithIssuer(b.issuer), jwt.WithAudience(b.appID), jwt.WithAcceptableSkew(leeway), jwt.WithClock(jwt.ClockFunc(b.now)),
		jwt.WithRequiredClaim(jwt.ExpirationKey), jwt.WithRequiredClaim(jwt.NotBeforeKey), jwt.WithValidate(true),
	}
	if _, err := jwt.Parse([]byte(token), append(slices.Clone(rules), jwt.WithVerify(false))...); err != nil {
		return claims{}, errToken
	}
	key, err := b.keys.key(ctx, kid)
	if err != nil {
		return claims{}, err
	}
	verified, err := jwt.Parse([]byte(token), append(rules, jwt.WithKey(jwa.RS256(), key.public))...)
	if err != nil {
		return claims{}, errToken
	}
	c := claims{endorsements: key.endorsements}
	if err := verified.Get("serviceurl", &c.service); err != nil {
		c.service = "" // then no activity is for us
	}
	return c, nil
}

// key is one of the connector's.
type key struct {
	public       jwk.Key
	endorsements []string
}

// keys are the connector's, read when they are needed and kept for a day. When
// they can't be read the old ones are used on.
type keys struct {
	openID string
	http   *http.Client
	log    *slog.Logger
	now    func() time.Time

	flight singleflight.Group

	mu    sync.Mutex
	known map[string]key
	read  time.Time // when they were read
	tried time.Time // when that was tried last
}

// key returns the key with an ID, or errToken.
func (k *keys) key(ctx context.Context, id string) (key, error) {
	k.mu.Lock()
	found, ok := k.known[id]
	now := k.now()
	wait := failedAgain
	if !ok && !k.read.IsZero() && k.tried.Equal(k.read) {
		wait = unknownAgain
	}
	stale := now.Sub(k.read) >= keysFresh
	due := (!ok || stale) && (k.tried.IsZero() || now.Sub(k.tried) >= wait)
	k.mu.Unlock()
	if due {
		// Whoever waits for it may give up; the keys are read all the same.
		done := k.flight.DoChan("", func() (any, error) { return nil, k.refresh(context.WithoutCancel(ctx)) })
		select {
		case r := <-done:
			if r.Err != nil {
				k.log.WarnContext(ctx, "read the Bot Framework's keys", "error", r.Err)
			}
		case <-ctx.Done():
		}
		k.mu.Lock()
		found, ok = k.known[id]
		k.mu.Unlock()
	}
	if !ok {
		return key{}, errToken
	}
	return found, nil
}

func (k *keys) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keysWithin)
	defer cancel()
	fresh, err := k.fetch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tried = k.now()
	if err != nil {
		return err
	}
	k.known, k.read = fresh, k.tried
	return nil
}

func (k *keys) fetch(ctx context.Context) (map[string]key, error) {
	text, err := k.get(ctx, k.openID)
	if err != nil {
		return nil, err
	}
	var document struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("read the OpenID document: %w", err)
	}
	// Keys come over TLS, or from where the document itself came.
	at, err := url.Parse(document.JWKS)
	if err != nil || at.Host == "" || at.Scheme != "https" && !sameOrigin(document.JWKS, k.openID) {
		return nil, errors.New("the OpenID document names no usable jwks_uri")
	}
	if text, err = k.get(ctx, document.JWKS); err != nil {
		return nil, err
	}
	set, err := jwk.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	found := map[string]key{}
	for i := range set.Len() {
		public, _ := set.Key(i)
		id, ok := public.KeyID()
		if _, rsa := public.(jwk.RSAPublicKey); !ok || !rsa {
			continue
		}
		var listed []any
		_ = public.Get("endorsements", &listed) // a key without any endorses nothing
		one := key{public: public}
		for _, e := range listed {
			if channel, ok := e.(string); ok {
				one.endorsements = append(one.endorsements, channel)
			}
		}
		found[id] = one
	}
	if len(found) == 0 {
		return nil, errors.New("there are no keys")
	}
	return found, nil
}

func (k *keys) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered with status %d", from, res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxKeys))
}

// sameOrigin reports whether two URLs have the same scheme, host and port.
func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Host != "" && u.Scheme == v.Scheme && strings.EqualFold(u.Host, v.Host)
}
