package teamsfake

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// Issuer is who signs the connector's tokens.
const Issuer = "https://api.botframework.com"

// signingKey is one of the connector's.
type signingKey struct {
	id           string
	private      *rsa.PrivateKey
	endorsements []string
}

// privateKeys are made once, because that takes long.
var privateKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 2)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func firstKey() signingKey {
	return signingKey{"key-1", privateKeys()[0], []string{"msteams", "webchat"}}
}

// Rotate makes the connector sign with another key. The old one is not
// published any more.
func (f *Fake) Rotate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = []signingKey{{"key-2", privateKeys()[1], []string{"msteams"}}}
}

// Unendorse publishes the key without saying that it signs for Teams.
func (f *Fake) Unendorse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys[0].endorsements = []string{"webchat"}
}

// KeysDown lets the server of keys fail until it is called with false.
func (f *Fake) KeysDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keysDown = down
}

// Forge changes a token before it is signed.
type Forge struct {
	Claims  map[string]any // nil values remove a claim
	Alg     jwa.SignatureAlgorithm
	KeyID   string
	Secret  []byte // signs with it, for symmetric algorithms
	Foreign bool   // signs with a key that was never published
}

// Token returns a token for an activity with this service URL.
func (f *Fake) Token(service string, forge Forge) string {
	f.mu.Lock()
	key := f.keys[0]
	f.mu.Unlock()
	now := time.Now()
	all := map[string]any{
		"iss": Issuer, "aud": f.opts.AppID, "serviceurl": service,
		"nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(all, forge.Claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	token := jwt.New()
	for k, v := range all {
		must(token.Set(k, v))
	}
	headers := jws.NewHeaders()
	id := key.id
	if forge.KeyID != "" {
		id = forge.KeyID
	}
	must(headers.Set(jws.KeyIDKey, id))
	var none jwa.SignatureAlgorithm
	if forge.Alg == none {
		forge.Alg = jwa.RS256()
	}
	if forge.Alg == jwa.NoSignature() {
		payload, err := json.Marshal(token)
		must(err)
		encode := base64.RawURLEncoding.EncodeToString
		return encode([]byte(`{"alg":"none","typ":"JWT","kid":"`+id+`"}`)) + "." + encode(payload) + "."
	}
	var with any = key.private
	if forge.Foreign {
		with = privateKeys()[1]
	}
	if forge.Secret != nil {
		with = forge.Secret
	}
	signed, err := jwt.Sign(token, jwt.WithKey(forge.Alg, with, jws.WithProtectedHeaders(headers)))
	must(err)
	return string(signed)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (f *Fake) serveOpenID(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	down := f.keysDown
	f.mu.Unlock()
	if down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"issuer": Issuer, "jwks_uri": f.server.URL + "/v1/.well-known/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (f *Fake) serveKeys(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keyReads++
	if f.keysDown {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	set := jwk.NewSet()
	for _, k := range f.keys {
		public, err := jwk.Import(k.private.Public())
		must(err)
		must(public.Set(jwk.KeyIDKey, k.id))
		must(public.Set(jwk.KeyUsageKey, "sig"))
		must(public.Set("endorsements", k.endorsements))
		must(set.AddKey(public))
	}
	reply(w, http.StatusOK, set)
}

// serveToken is Microsoft's login: client credentials for the connector or for Graph.
func (f *Fake) serveToken(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokenReads++
	scope := r.FormValue("scope")
	proven := r.FormValue("client_secret") == f.opts.Secret
	if r.FormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		proven = r.FormValue("client_assertion") != ""
	}
	switch {
	case r.FormValue("grant_type") != "client_credentials":
		reply(w, http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"})
	case r.FormValue("client_id") != f.opts.AppID || !proven:
		reply(w, http.StatusUnauthorized, map[string]any{
			"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.",
		})
	case scope != "https://api.botframework.com/.default" && scope != "https://graph.microsoft.com/.default":
		reply(w, http.StatusBadRequest, map[string]any{"error": "invalid_scope"})
	default:
		token := rand.Text()
		f.tokens[token] = time.Now().Add(time.Hour)
		reply(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": token})
	}
}

// Revoke makes all tokens that the app has invalid.
func (f *Fake) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
