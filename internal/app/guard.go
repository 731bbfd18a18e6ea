package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"gapura/internal/cache"
	"gapura/internal/calm"
	"gapura/internal/captcha"
	"gapura/internal/clock"
	"gapura/internal/gate"
	"gapura/internal/httpapi"
	"gapura/internal/provider/altcha"
	"gapura/internal/provider/turnstile"
	"gapura/internal/ratelimit"
	"gapura/internal/redisstore"
	"gapura/internal/site"
)

// guard is what stands before a node's calls.
type guard struct {
	gate       *gate.Gate
	calm       *calm.Gate
	depth      calm.Depth
	challenger httpapi.Challenger // nil: captchas are not made here
	redis      *redis.Client      // nil: nothing is shared with other nodes
	cache      *cache.Shared      // nil: the same
	rush       *redis.Client      // nil: redis does, or nobody is told
}

// Bounds of what the guard remembers in process.
const (
	// limitKeys is for how many senders counts are kept, in 8 MB. Of an order the key matters for 2 s and the person for 20 s,
	// so 8,000 a second need 180,000.
	limitKeys = 1 << 19
	// spentCaptchas is how many answers are remembered for each of two lifetimes of ten minutes: 250 a second throughout. More
	// are refused, and every one of them has cost its sender the work.
	spentCaptchas = 150_000
	// spentWithin is how long a used answer may take to reach the other nodes before only this one knows it.
	spentWithin = 50 * time.Millisecond
	// captchaWithin bounds both tries to ask a provider outside.
	captchaWithin = 4500 * time.Millisecond
)

// openGuard joins limits, captcha and calm.
func (n *node) openGuard() error {
	cfg := n.program.cfg
	g := &guard{calm: calm.NewGate(calm.DefaultLimits())}
	if cfg.CacheStore == "redis" {
		options, err := cfg.redisOptions()
		if err != nil {
			return err
		}
		g.redis = newCacheClient(options)
		g.cache = cache.New(redisstore.NewCache(g.redis), clock.System{})
	}
	n.guard = g
	proxies, err := ratelimit.ParseProxies(strings.Join(cfg.TrustedProxies, ","))
	if err != nil {
		return fmt.Errorf("TRUSTED_PROXIES: %w", err)
	}
	desk, err := n.openCaptcha(g)
	if err != nil {
		return err
	}
	limiter := ratelimit.NewLimiter(ratelimit.NewLocal(limitKeys), n.sharedLimits(g), clock.System{})
	g.gate = gate.New(gate.Config{
		Mode: gate.Mode(cfg.RateLimits), Limiter: limiter, Proxies: proxies, Captcha: desk, Meter: n.guardMeter(g, limiter), Host: cfg.publicHost(),
	})
	if cfg.AppEnv == "production" && len(proxies) == 0 && cfg.RateLimits != "off" {
		n.program.log.Warn("TRUSTED_PROXIES is empty: requests from a proxy on this machine are not limited by address, and those " +
			"from one elsewhere all count as one; set it to the addresses of the proxies")
	}
	const sampleEvery = 500 * time.Millisecond
	n.work.Every("depth", sampleEvery, func(context.Context) {
		now := time.Now()
		g.depth.Sample(now, max(n.engine.Waited(now), n.engine.Committing(now)))
	})
	return nil
}

// newCacheClient is one for answers that are worth little: a request waits 20 ms for a connection or an answer and goes on
// without, and nothing is asked twice.
func newCacheClient(options *redis.Options) *redis.Client {
	const patience = 20 * time.Millisecond
	o := *options
	o.PoolSize, o.PoolTimeout, o.MaxRetries = 32, patience, -1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.DialerRetries = time.Second, 5*patience, 5*patience, 1
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(&o)
	client.AddHook(redisstore.NewBreaker(clock.System{}))
	return client
}

func (n *node) sharedLimits(g *guard) ratelimit.Shared {
	if g.redis == nil {
		return nil
	}
	return gate.Hidden(redisstore.NewLimits(g.redis), n.keyring.derive("limits")[0])
}

// openCaptcha returns the desk of the configured provider; nil: there is none.
func (n *node) openCaptcha(g *guard) (*captcha.Desk, error) {
	cfg := n.program.cfg
	var spent captcha.Spent = captcha.NewLocalSpent(clock.System{}, altcha.Lifetime, spentCaptchas)
	if g.redis != nil {
		spent = captcha.NewTieredSpent(spent, redisstore.NewSpent(g.redis, clock.System{}), spentWithin)
	}
	switch cfg.CaptchaProvider {
	case "altcha":
		derived := n.keyring.derive("altcha")
		keys := make([]string, 0, len(derived))
		for _, key := range derived {
			keys = append(keys, hex.EncodeToString(key))
		}
		provider, err := altcha.New(clock.System{}, altcha.DefaultMaxNumber, keys...)
		if err != nil {
			return nil, err
		}
		g.challenger = challenger{provider}
		return captcha.NewDesk(provider, spent, clock.System{}, captcha.Refuse, captchaWithin), nil
	case "turnstile":
		client, err := turnstile.New(turnstile.Config{
			SiteKey: cfg.TurnstileSiteKey, Secret: cfg.TurnstileSecretKey, Production: cfg.AppEnv == "production", Clock: clock.System{},
		})
		if err != nil {
			return nil, err
		}
		return captcha.NewDesk(client, spent, clock.System{}, captcha.Admit, captchaWithin), nil
	}
	return nil, nil
}

// publicHost is the host of APP_URL, "" without one: then captchas belong to the host that a request was sent to.
func (c *Config) publicHost() string {
	u, err := url.Parse(c.AppURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// captchaOfForm is what the form asks visitors to solve.
func (c *Config) captchaOfForm() site.Captcha {
	switch c.CaptchaProvider {
	case "altcha":
		return site.Captcha{Provider: "altcha", Action: gate.Order.Action()}
	case "turnstile":
		return site.Captcha{Provider: "turnstile", SiteKey: c.TurnstileSiteKey, Action: gate.Order.Action()}
	}
	return site.Captcha{}
}

// challenger makes ALTCHA's captchas for the API.
type challenger struct{ provider *altcha.Provider }

// Challenge implements httpapi.Challenger.
func (c challenger) Challenge(action, host string) (httpapi.ChallengeView, error) {
	made, err := c.provider.Challenge(action, host)
	if err != nil {
		return httpapi.ChallengeView{}, err
	}
	return httpapi.ChallengeView{
		Algorithm: made.Algorithm, Challenge: made.Challenge, MaxNumber: made.MaxNumber, Salt: made.Salt, Signature: made.Signature,
	}, nil
}

// close ends the connections to Redis.
func (g *guard) close() error {
	if g == nil {
		return nil
	}
	var errs []error
	for _, client := range []*redis.Client{g.redis, g.rush} {
		if client != nil {
			errs = append(errs, client.Close())
		}
	}
	return errors.Join(errs...)
}

func (g *guard) cacheFailures() float64 {
	if g.cache == nil {
		return 0
	}
	_, _, failures := g.cache.Counts()
	return float64(failures)
}

// guardMeter counts in the node's metrics.
type guardMeter struct{ limited, captchas *prometheus.CounterVec }

func (n *node) guardMeter(g *guard, limiter *ratelimit.Limiter) guardMeter {
	m := guardMeter{
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gapura", Name: "limited_total",
			Help: "Requests that a limit refused, asked for a captcha, or would have in shadow mode.",
		}, []string{"policy", "outcome"}),
		captchas: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gapura", Name: "captcha_total",
			Help: "Captcha answers by action and outcome.",
		}, []string{"action", "outcome"}),
	}
	registry := n.telemetry.registry
	registry.MustRegister(m.limited, m.captchas)
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "gapura", Name: "limit_shared_misses_total",
		Help: "Limits that were decided on this node alone because Redis did not answer in time.",
	},
		func() float64 { return float64(limiter.SharedMisses()) }))
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "gapura", Name: "inside",
		Help: "Requests that are being worked on.",
	}, func() float64 { return float64(g.calm.Inside()) }))
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "gapura", Name: "at_the_door",
		Help: "Requests that wait for a place inside.",
	}, func() float64 { return float64(g.calm.Waiting()) }))
	registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "gapura", Name: "cache_failures_total",
		Help: "Times that the shared cache did not answer in time and was left alone for two seconds.",
	}, g.cacheFailures))
	for priority, name := range calm.Priorities() {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "gapura", Name: "shed_total",
			Help: "Requests turned away at the door, by priority.", ConstLabels: prometheus.Labels{"priority": name},
		},
			func() float64 { return float64(g.calm.Shed(priority)) }))
	}
	return m
}

// Limited implements gate.Meter.
func (m guardMeter) Limited(policy, outcome string) { m.limited.WithLabelValues(policy, outcome).Inc() }

// Captcha implements gate.Meter.
func (m guardMeter) Captcha(action, outcome string) {
	m.captchas.WithLabelValues(action, outcome).Inc()
}
