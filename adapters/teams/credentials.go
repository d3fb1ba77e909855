package teams

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/sync/singleflight"
)

// Credentials are how usher proves to Microsoft who it is. One of the ways must
// be set; the first that is counts.
type Credentials struct {
	Secret          string
	Certificate     string // a PEM file with a certificate and its RSA key
	FederatedFile   string // a file with a token of another issuer that Microsoft trusts
	ManagedIdentity bool   // Azure gives usher its token
}

const (
	tokenWithin = 5 * time.Second
	// tokenEarly is how long before its end a token is replaced.
	tokenEarly    = 5 * time.Minute
	assertionLife = 10 * time.Minute
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	maxCredential = 64 << 10
	// azureIdentity is where Azure's machines get tokens.
	azureIdentity = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
)

// tokens are usher's own for one scope. One is kept until shortly before it ends.
type tokens struct {
	fetch func(ctx context.Context) (*oauth2.Token, error)
	now   func() time.Time

	flight singleflight.Group

	mu      sync.Mutex
	current *oauth2.Token
}

// token returns a token to send.
func (t *tokens) token(ctx context.Context) (string, error) {
	t.mu.Lock()
	current := t.current
	t.mu.Unlock()
	if current != nil && (current.Expiry.IsZero() || t.now().Add(tokenEarly).Before(current.Expiry)) {
		return current.AccessToken, nil
	}
	done := t.flight.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenWithin)
		defer cancel()
		fresh, err := t.fetch(ctx)
		if err != nil {
			return nil, err
		}
		if fresh.AccessToken == "" {
			return nil, errors.New("there is no token in the answer")
		}
		t.mu.Lock()
		t.current = fresh
		t.mu.Unlock()
		return fresh, nil
	})
	select {
	case r := <-done:
		if r.Err != nil {
			if current != nil && t.now().Before(current.Expiry) {
				return current.AccessToken, nil
			}
			return "", &tokenError{r.Err}
		}
		return r.Val.(*oauth2.Token).AccessToken, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// drop forgets a token that was refused.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && t.current.AccessToken == token {
		t.current = nil
	}
}

// tokenError is a failure to get a token. It says Microsoft's word for it, and
// never what was sent.
type tokenError struct{ cause error }

func (e *tokenError) Error() string {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](e.cause); ok {
		var answer struct {
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(refused.Body, &answer)
		word, _, _ := strings.Cut(answer.Description, ":")
		return strings.TrimSpace(fmt.Sprintf("no token: status %d %s %s", refused.Response.StatusCode, refused.ErrorCode, word))
	}
	return "no token: " + e.cause.Error()
}

func (e *tokenError) Unwrap() error { return e.cause }

// source returns where tokens for a scope come from.
func (c Credentials) source(appID, tokenURL, scope string, client *http.Client, now func() time.Time) (*tokens, error) {
	grant := func(ctx context.Context, with clientcredentials.Config) (*oauth2.Token, error) {
		with.ClientID, with.TokenURL, with.Scopes, with.AuthStyle = appID, tokenURL, []string{scope}, oauth2.AuthStyleInParams
		return with.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
	}
	asserted := func(ctx context.Context, assertion string) (*oauth2.Token, error) {
		return grant(ctx, clientcredentials.Config{EndpointParams: url.Values{
			"client_assertion_type": {assertionType}, "client_assertion": {assertion},
		}})
	}
	t := &tokens{now: now}
	switch {
	case c.Secret != "":
		t.fetch = func(ctx context.Context) (*oauth2.Token, error) {
			return grant(ctx, clientcredentials.Config{ClientSecret: c.Secret})
		}
	case c.Certificate != "":
		pair, err := loadCertificate(c.Certificate)
		if err != nil {
			return nil, err
		}
		t.fetch = func(ctx context.Context) (*oauth2.Token, error) {
			assertion, err := pair.assertion(appID, tokenURL, now())
			if err != nil {
				return nil, err
			}
			return asserted(ctx, assertion)
		}
	case c.FederatedFile != "":
		t.fetch = func(ctx context.Context) (*oauth2.Token, error) {
			// The file is written anew before its token ends.
			assertion, err := readCredential(c.FederatedFile)
			if err != nil {
				return nil, err
			}
			return asserted(ctx, strings.TrimSpace(string(assertion)))
		}
	case c.ManagedIdentity:
		t.fetch = func(ctx context.Context) (*oauth2.Token, error) {
			return identityToken(ctx, client, appID, strings.TrimSuffix(scope, "/.default"))
		}
	default:
		return nil, errors.New("set TEAMS_APP_PASSWORD, TEAMS_CERTIFICATE_PATH, TEAMS_FEDERATED_TOKEN_PATH or TEAMS_MANAGED_IDENTITY=true")
	}
	return t, nil
}

func readCredential(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxCredential))
}

// certificate proves with a key who usher is.
type certificate struct {
	thumbprint string
	key        *rsa.PrivateKey
}

func loadCertificate(path string) (certificate, error) {
	text, err := readCredential(path)
	if err != nil {
		return certificate{}, fmt.Errorf("TEAMS_CERTIFICATE_PATH: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return certificate{}, fmt.Errorf("TEAMS_CERTIFICATE_PATH: %w", err)
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return certificate{}, errors.New("TEAMS_CERTIFICATE_PATH: the key must be RSA")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return certificate{}, fmt.Errorf("TEAMS_CERTIFICATE_PATH: %w", err)
	}
	sum := sha256.Sum256(leaf.Raw)
	return certificate{base64.RawURLEncoding.EncodeToString(sum[:]), key}, nil
}

// assertion is a fresh proof for one call.
// Source: learn.microsoft.com, entra/identity-platform/certificate-credentials.
func (c certificate) assertion(appID, audience string, now time.Time) (string, error) {
	token, err := jwt.NewBuilder().Issuer(appID).Subject(appID).Audience([]string{audience}).
		JwtID(rand.Text()).NotBefore(now).IssuedAt(now).Expiration(now.Add(assertionLife)).Build()
	if err != nil {
		return "", err
	}
	headers := jws.NewHeaders()
	if err := headers.Set("x5t#S256", c.thumbprint); err != nil {
		return "", err
	}
	signed, err := jwt.Sign(token, jwt.WithKey(jwa.PS256(), crypto.Signer(c.key), jws.WithProtectedHeaders(headers)))
	return string(signed), err
}

// identityToken asks Azure, where usher runs, for a token of its managed identity.
func identityToken(ctx context.Context, client *http.Client, appID, resource string) (*oauth2.Token, error) {
	at, header, value := azureIdentity, "Metadata", "true"
	if endpoint := os.Getenv("IDENTITY_ENDPOINT"); endpoint != "" {
		at, header, value = endpoint+"?api-version=2019-08-01", "X-IDENTITY-HEADER", os.Getenv("IDENTITY_HEADER")
	}
	at += "&resource=" + url.QueryEscape(resource) + "&client_id=" + url.QueryEscape(appID)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set(header, value)
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxCredential))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, &oauth2.RetrieveError{Response: res, Body: text}
	}
	var answer struct {
		AccessToken string      `json:"access_token"`
		ExpiresOn   json.Number `json:"expires_on"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, errors.New("the answer of Azure can't be read")
	}
	ends, err := answer.ExpiresOn.Int64()
	if err != nil {
		return nil, errors.New("the answer of Azure doesn't say when the token ends")
	}
	return &oauth2.Token{AccessToken: answer.AccessToken, Expiry: time.Unix(ends, 0)}, nil
}
