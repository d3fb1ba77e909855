package teams

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/stretchr/testify/require"

	"github.com/usher-access/usher/adapters/teams/teamsfake"
)

// login is Microsoft's login, which gives anybody a token and remembers how they
// asked for it.
type login struct {
	*httptest.Server
	mu    sync.Mutex
	asked []url.Values
	fail  bool
}

func newLogin(t *testing.T) *login {
	t.Helper()

	l := &login{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := r.ParseForm(); err != nil || l.fail {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		l.asked = append(l.asked, r.Form)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 3599, "expires_on": "4102444800",
		})
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *login) last(t *testing.T) url.Values {
	t.Helper()

	l.mu.Lock()
	defer l.mu.Unlock()
	require.NotEmpty(t, l.asked)
	return l.asked[len(l.asked)-1]
}

const scope = "https://api.botframework.com/.default"

func source(t *testing.T, c Credentials, l *login, now func() time.Time) *tokens {
	t.Helper()

	s, err := c.source("app", l.URL, scope, l.Client(), now)
	require.NoError(t, err)
	return s
}

func TestASecretIsProofAndATokenIsKeptUntilShortlyBeforeItEnds(t *testing.T) {
	t.Parallel()

	l, c := newLogin(t), &clock{}
	s := source(t, Credentials{Secret: "hush"}, l, c.now)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := s.token(context.Background())
			require.NoError(t, err)
		})
	}
	all.Wait()
	require.Len(t, l.asked, 1, "one for all")
	require.Equal(t, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"hush"}, "scope": {scope},
	}, l.last(t))

	first, err := s.token(t.Context())
	require.NoError(t, err)
	c.pass(54 * time.Minute)
	kept, err := s.token(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, kept)
	c.pass(2 * time.Minute)
	l.fail = true
	kept, err = s.token(t.Context())
	require.NoError(t, err, "the old one still works")
	require.Equal(t, first, kept)
	l.fail = false
	fresh, err := s.token(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, first, fresh)
	c.pass(-56 * time.Minute) // when the new one was given by the world's clock
	s.drop(first)
	kept, err = s.token(t.Context())
	require.NoError(t, err)
	require.Equal(t, fresh, kept, "another one's refusal doesn't matter")
	s.drop(fresh)
	another, err := s.token(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, fresh, another)
}

func TestACertificateIsProof(t *testing.T) {
	t.Parallel()

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "usher"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "usher.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	require.NoError(t, os.WriteFile(file, text, 0o600))

	l := newLogin(t)
	_, err = source(t, Credentials{Certificate: file}, l, time.Now).token(t.Context())
	require.NoError(t, err)
	asked := l.last(t)
	require.Equal(t, assertionType, asked.Get("client_assertion_type"))
	require.Empty(t, asked.Get("client_secret"))
	assertion, err := jwt.Parse([]byte(asked.Get("client_assertion")), jwt.WithKey(jwa.PS256(), key.Public()),
		jwt.WithIssuer("app"), jwt.WithSubject("app"), jwt.WithAudience(l.URL))
	require.NoError(t, err)
	id, ok := assertion.JwtID()
	require.True(t, ok)
	require.NotEmpty(t, id)

	_, err = Credentials{Certificate: filepath.Join(t.TempDir(), "none")}.source("app", l.URL, scope, l.Client(), time.Now)
	require.ErrorContains(t, err, "TEAMS_CERTIFICATE_PATH")
}

func TestAFederatedTokenIsReadAnewEachTime(t *testing.T) {
	t.Parallel()

	l, c := newLogin(t), &clock{}
	file := filepath.Join(t.TempDir(), "token")
	s := source(t, Credentials{FederatedFile: file}, l, c.now)
	_, err := s.token(t.Context())
	require.ErrorContains(t, err, "no token")
	for _, written := range []string{"first\n", "second\n"} {
		require.NoError(t, os.WriteFile(file, []byte(written), 0o600))
		_, err := s.token(t.Context())
		require.NoError(t, err)
		require.Equal(t, written[:len(written)-1], l.last(t).Get("client_assertion"))
		c.pass(time.Hour)
	}
}

func TestAzureGivesAManagedIdentityItsToken(t *testing.T) {
	l := newLogin(t)
	t.Setenv("IDENTITY_ENDPOINT", l.URL)
	t.Setenv("IDENTITY_HEADER", "proof")
	_, err := source(t, Credentials{ManagedIdentity: true}, l, time.Now).token(t.Context())
	require.NoError(t, err)
	asked := l.last(t)
	require.Equal(t, "https://api.botframework.com", asked.Get("resource"))
	require.Equal(t, "app", asked.Get("client_id"))
}

func TestWhyThereIsNoTokenIsSaidWithoutSecrets(t *testing.T) {
	t.Parallel()

	f := newFake(t, teamsfake.Options{})
	c := configFor(t, f)
	c.Credentials.Secret = "very-secret"
	a, err := New(c)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	_, err = a.tokens.token(t.Context())
	require.EqualError(t, err, "no token: status 401 invalid_client AADSTS7000215")
}
