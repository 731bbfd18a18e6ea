// Package midtrans is a thin client of Midtrans: Snap pages, transaction status, cancellation, refunds and notifications.
// It asks once and says what happened; retrying is the caller's business. Neither the server key nor a request body is ever
// part of an error.
package midtrans

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gapura/internal/payment"
)

// The provider's hosts.
const (
	sandboxCore    = "https://api.sandbox.midtrans.com"
	sandboxSnap    = "https://app.sandbox.midtrans.com"
	productionCore = "https://api.midtrans.com"
	productionSnap = "https://app.midtrans.com"
)

// maxAnswer bounds what is read of an answer; real ones have under 4 KB.
const maxAnswer = 256 << 10

// DefaultTimeout is for one call, from dialling to the last byte. The provider's own library waits 80 s, which would hold a
// worker through an outage.
const DefaultTimeout = 15 * time.Second

// Config says whom to ask and as whom.
type Config struct {
	ServerKey  string
	Production bool
	BaseURL    string // MIDTRANS_BASE_URL; empty: the real host that Production names
	SnapURL    string // MIDTRANS_SNAP_URL; likewise
	FinishURL  string // where the browser returns unless the checkout says otherwise; at most 255 characters
	NotifyURL  string // sent with every page to override the dashboard's setting; empty: not sent
	Channels   []string
	Timeout    time.Duration     // of one call; 0: DefaultTimeout
	Transport  http.RoundTripper // nil: a transport of its own
}

// Client talks to Midtrans. It is safe for concurrent use.
type Client struct {
	cfg  Config
	auth string
	http *http.Client
}

var _ payment.Gateway = (*Client)(nil)

// New checks the configuration and returns a client. Plain http is allowed only to a loopback address, because every request
// carries the key.
func New(cfg Config) (*Client, error) {
	if cfg.ServerKey == "" {
		return nil, errors.New("MIDTRANS_SERVER_KEY is empty")
	}
	core, snap := sandboxCore, sandboxSnap
	if cfg.Production {
		core, snap = productionCore, productionSnap
	}
	var err error
	if cfg.BaseURL, err = baseURL("MIDTRANS_BASE_URL", cfg.BaseURL, core); err != nil {
		return nil, err
	}
	if cfg.SnapURL, err = baseURL("MIDTRANS_SNAP_URL", cfg.SnapURL, snap); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Transport == nil {
		cfg.Transport = transport()
	}
	return &Client{
		cfg:  cfg,
		auth: "Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.ServerKey+":")),
		http: &http.Client{
			Transport: cfg.Transport,
			Timeout:   cfg.Timeout,
			// A redirect would take the key elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// transport keeps as many idle connections as workers ask at the same time; the default of two would open a TLS connection
// for most calls of a reconciliation.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          32,
		MaxIdleConnsPerHost:   16,
		MaxConnsPerHost:       32,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}
}

func baseURL(name, value, otherwise string) (string, error) {
	if value == "" {
		return otherwise, nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%s must be a URL such as %s", name, otherwise)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", fmt.Errorf("%s must be https: every request carries the server key", name)
	}
	return strings.TrimRight(value, "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request to the provider.
type call struct {
	op     string // for errors
	method string
	url    string
	key    string // Idempotency-Key
	notify bool   // send the override of the notification URL
	body   any
}

// answer is what every endpoint may say; the code in the body, where there is one, counts more than the HTTP status, which
// is often 200 for a refusal.
type answer struct {
	StatusCode    text     `json:"status_code"`
	StatusMessage string   `json:"status_message"`
	ErrorMessages []string `json:"error_messages"`
}

// do sends a call and returns the body of a success. The codes in allowed are successes too.
func (c *Client) do(ctx context.Context, k call, allowed ...string) ([]byte, error) {
	req, err := c.request(ctx, k)
	if err != nil {
		return nil, &payment.ProviderError{Op: k.op, Cause: err}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, &payment.ProviderError{Op: k.op, Temporary: true, Cause: withoutURL(err)}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, &payment.ProviderError{Op: k.op, Temporary: true, Cause: err}
	}
	return body, judge(k.op, res, body, allowed)
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	var body io.Reader
	if k.body != nil {
		b, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, k.url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", c.auth)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gapura")
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	if k.notify && c.cfg.NotifyURL != "" {
		req.Header.Set("X-Override-Notification", c.cfg.NotifyURL)
	}
	return req, nil
}

// withoutURL drops the URL from a transport error: it holds the Snap token, with which anyone can open the page.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func judge(op string, res *http.Response, body []byte, allowed []string) error {
	code := strconv.Itoa(res.StatusCode)
	if len(body) > maxAnswer {
		return &payment.ProviderError{Op: op, Code: code, Temporary: true, Message: "the answer is too long"}
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil && res.StatusCode < 300 {
		// Most likely a proxy's page in front of the provider.
		return &payment.ProviderError{Op: op, Code: code, Temporary: true, Message: "the answer is not JSON"}
	}
	if a.StatusCode != "" && res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
		code = string(a.StatusCode)
	}
	if success(code, allowed) {
		return nil
	}
	message := a.StatusMessage
	if len(a.ErrorMessages) > 0 {
		message = strings.Join(a.ErrorMessages, "; ")
	}
	return &payment.ProviderError{
		Op: op, Code: code, Message: cut(message, 200), Temporary: temporary(code), RetryAfter: retryAfter(res.Header.Get("Retry-After")),
	}
}

func success(code string, allowed []string) bool {
	return code == "200" || code == "201" || slices.Contains(allowed, code)
}

// temporary: the provider's trouble or too many requests. 202 answers a repetition while the first request with its key still
// runs; where it means something else it is among the allowed.
func temporary(code string) bool {
	return strings.HasPrefix(code, "5") || code == "429" || code == "408" || code == "202"
}

// retryAfter reads seconds; the provider does not send dates.
func retryAfter(header string) time.Duration {
	s, err := strconv.Atoi(header)
	if err != nil || s < 0 {
		return 0
	}
	return min(time.Duration(s)*time.Second, time.Hour)
}

// cut shortens s to n bytes without splitting a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
