// Package webhook does actions by telling other systems, with HTTP requests that
// are signed as Standard Webhooks says.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/usher-access/usher/core"
)

const (
	secretPrefix = "whsec_"
	minSecret    = 24 // bytes, as Standard Webhooks asks for
	maxSecret    = 64

	timeout    = 5 * time.Second // less than a job has for a call
	maxAnswer  = 64 << 10
	maxMessage = 200 // characters of an answer's message that people read

	paramURL = "url"
)

// Sender is a core.Provisioner that sends webhooks.
type Sender struct {
	signers []*standardwebhooks.Webhook
	client  *http.Client
	now     func() time.Time
}

var _ core.Provisioner = (*Sender)(nil)

// New returns a Sender that signs with each of the secrets, so that receivers
// may know either during a rotation. There must be at least one.
func New(secrets []string, now func() time.Time) (*Sender, error) {
	if len(secrets) == 0 {
		return nil, errors.New("a webhook secret is missing")
	}
	s := &Sender{now: now, client: &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: timeout, Control: checkPeer}).DialContext,
			TLSHandshakeTimeout: timeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConns:        20,
			IdleConnTimeout:     time.Minute,
		},
	}}
	for _, secret := range secrets {
		if err := CheckSecret(secret); err != nil {
			return nil, err
		}
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errSecret
		}
		s.signers = append(s.signers, signer)
	}
	return s, nil
}

var errSecret = fmt.Errorf("a webhook secret is %s and %d to %d random bytes in base64, as openssl rand -base64 32 prints them",
	secretPrefix, minSecret, maxSecret)

// CheckSecret returns an error that says how a secret must be written, when it
// isn't. It never contains the secret.
func CheckSecret(secret string) error {
	coded, prefixed := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(coded)
	if !prefixed || err != nil || len(key) < minSecret || len(key) > maxSecret {
		return errSecret
	}
	return nil
}

// CheckURL returns an error that says what is wrong with a webhook's address:
// it must be https, but on this machine.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return errors.New("write a webhook's url as https://hooks.acme.example/path")
	case u.User != nil:
		return errors.New("a webhook's url must not have a password in it; requests are signed instead")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return errors.New("a webhook's url must begin with https://")
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// checkPeer refuses addresses at which no receiver can be, but cloud providers
// keep machines' secrets. Private networks are fine: that is where a company's
// own systems are, and addresses come from policy, never from who asks.
func checkPeer(_, address string, _ syscall.RawConn) error {
	peer, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := peer.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return &peerError{ip}
	}
	return nil
}

// peerError is an address to which no webhook is sent.
type peerError struct{ ip netip.Addr }

func (e *peerError) Error() string { return fmt.Sprintf("webhooks are not sent to %s", e.ip) }

// payload is what a receiver reads.
type payload struct {
	Type      string    `json:"type"` // access.grant, access.extend, access.revoke or access.run
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Request  string            `json:"request"`
	Person   person            `json:"person"`
	Resource string            `json:"resource,omitempty"`
	Level    string            `json:"level,omitempty"`
	Ends     time.Time         `json:"ends,omitzero"`
	Answers  map[string]string `json:"answers,omitempty"`
}

type person struct {
	Email string `json:"email"`
	Name  string `json:"name"`
}

// Provision sends an order to the address in the action's url. The order's key
// is the webhook's ID, so a receiver that remembers IDs does nothing twice.
func (s *Sender) Provision(ctx context.Context, o core.Order) error {
	address := o.Action.Params[paramURL]
	if err := CheckURL(address); err != nil {
		return &core.Refused{Why: fmt.Sprintf("The policy is wrong: %s.", err)}
	}
	now := s.now()
	body, err := json.Marshal(payload{
		Type: "access." + string(o.Verb), Timestamp: now.UTC(),
		Data: data{
			Request: o.Request.String(), Person: person{Email: o.Requester.Email, Name: o.Requester.Name},
			Resource: o.Resource, Level: o.Level, Ends: o.Ends, Answers: o.Answers,
		},
	})
	if err != nil {
		return fmt.Errorf("write a webhook: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("write a webhook: %w", err)
	}
	if err := s.sign(req, o.Key, now, body); err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s can't be reached: %s", req.URL.Host, reason(err))
	}
	defer res.Body.Close()
	return judge(req.URL.Host, res)
}

func (s *Sender) sign(req *http.Request, id string, now time.Time, body []byte) error {
	signatures := make([]string, len(s.signers))
	for i, signer := range s.signers {
		var err error
		if signatures[i], err = signer.Sign(id, now, body); err != nil {
			return fmt.Errorf("sign a webhook: %w", err)
		}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "usher")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// reason says in words why a request could not be sent. Errors themselves hold
// addresses, which others should not see.
func reason(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok && wrapped.Timeout() {
		return "it did not answer in time"
	}
	if peer, ok := errors.AsType[*peerError](err); ok {
		return peer.Error()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its name was not found"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not valid"
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nothing listens there"
	}
	return "the connection failed"
}

// judge turns an answer into the outcome: 2xx is done, and what the receiver
// calls the sender's mistake is not tried again, unless it may pass.
func judge(host string, res *http.Response) error {
	message := said(res.Body)
	if res.StatusCode/100 == 2 {
		return nil
	}
	problem := fmt.Sprintf("%s answered %d%s.", host, res.StatusCode, message)
	switch {
	case res.StatusCode == http.StatusRequestTimeout, res.StatusCode == http.StatusConflict, res.StatusCode == http.StatusTooManyRequests:
		return errors.New(problem)
	case res.StatusCode/100 == 4:
		return &core.Refused{Why: problem}
	case res.StatusCode/100 == 3:
		return fmt.Errorf("%s answered %d, and webhooks follow no redirects", host, res.StatusCode)
	default:
		return errors.New(problem)
	}
}

// said returns the message of a JSON answer, to be put behind its status.
func said(body io.Reader) string {
	var answer struct{ Message string }
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&answer); err != nil || answer.Message == "" {
		return ""
	}
	printable := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, answer.Message)
	runes := []rune(strings.TrimRight(printable, ". "))
	if len(runes) > maxMessage {
		runes = append(runes[:maxMessage], '…')
	}
	return ": " + string(runes)
}
