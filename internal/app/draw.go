package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"gapura/internal/waitroom"
)

type drawCommand struct {
	Verify drawVerifyCommand `cmd:"" help:"Check a draw from its published proof and list. It trusts no server's word."`
}

type drawVerifyCommand struct {
	Source  string   `arg:"" optional:"" help:"The race's address, such as https://daftar.example.id/e/night-run; or use --proof and --list."`
	Proof   string   `help:"The proof: a file or an address." placeholder:"FILE"`
	List    string   `help:"The list of draw numbers: a file or an address." placeholder:"FILE"`
	Earlier []string `help:"A copy of the proof that was kept from before." placeholder:"FILE"`
	Number  string   `help:"Your draw number: prints your rank and place." placeholder:"NUMBER"`
}

// Run verifies and prints a line a check.
func (c drawVerifyCommand) Run(p *program) error {
	if err := c.complete(); err != nil {
		return err
	}
	e, err := c.evidence(p.ctx)
	if err != nil {
		return err
	}
	if e.Proof.Seed == "" {
		return fmt.Errorf("the draw of %s is not revealed yet: its seed is published when registration opens", e.Proof.Event)
	}
	verdict := waitroom.Verify(e)
	for _, check := range verdict.Checks {
		word := "ok  "
		if !check.OK {
			word = "FAIL"
		}
		p.announce("%s  %-10s  %s", word, check.Name, check.Note)
	}
	if verdict.Place > 0 {
		p.announce("\nnumber %s has rank %s and place %d of %d", e.Own, verdict.Rank, verdict.Place, len(e.List))
	}
	if !verdict.OK() {
		return errNo
	}
	return nil
}

// complete derives what was not given from the race's address.
func (c *drawVerifyCommand) complete() error {
	if c.Source == "" {
		if c.Proof == "" || c.List == "" {
			return errors.New("say which draw: gapura draw verify https://HOST/e/SLUG, or --proof FILE --list FILE")
		}
		return nil
	}
	u, err := url.Parse(c.Source)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is no address: use the race's page, such as https://daftar.example.id/e/night-run", c.Source)
	}
	rest, ok := strings.CutPrefix(u.Path, "/e/")
	slug, _, _ := strings.Cut(rest, "/")
	if !ok || slug == "" {
		return fmt.Errorf("%q is no race's page: its path must begin with /e/SLUG", c.Source)
	}
	for name, target := range map[string]*string{"proof": &c.Proof, "list": &c.List} {
		if *target == "" {
			*target = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path.Join("/api/v1/events", slug, "queue", name)}).String()
		}
	}
	return nil
}

func (c *drawVerifyCommand) evidence(ctx context.Context) (waitroom.Evidence, error) {
	var e waitroom.Evidence
	var err error
	if e.Proof, err = readProof(ctx, c.Proof); err != nil {
		return e, err
	}
	list, err := fetch(ctx, c.List)
	if err != nil {
		return e, err
	}
	if e.List, e.ListHash, err = waitroom.ReadList(bytes.NewReader(list)); err != nil {
		return e, fmt.Errorf("%s: %w", c.List, err)
	}
	for _, name := range c.Earlier {
		earlier, err := readProof(ctx, name)
		if err != nil {
			return e, err
		}
		e.Earlier = append(e.Earlier, earlier)
	}
	if c.Number != "" {
		own, err := waitroom.ParseNumber(strings.ToLower(strings.TrimSpace(c.Number)))
		if err != nil {
			return e, fmt.Errorf("%q: %w", c.Number, err)
		}
		e.Own = &own
	}
	return e, nil
}

func readProof(ctx context.Context, source string) (waitroom.Proof, error) {
	var proof waitroom.Proof
	text, err := fetch(ctx, source)
	if err != nil {
		return proof, err
	}
	if err := json.Unmarshal(text, &proof); err != nil {
		return proof, fmt.Errorf("%s is no proof of a draw: %w", source, err)
	}
	return proof, nil
}

const (
	// maxDocument is the longest list that is read, and a line more.
	maxDocument = waitroom.MaxDrawn*33 + 33
	// fetchWithin is enough for that at 3 MB a second.
	fetchWithin = time.Minute
)

// fetch reads a file, or an address over HTTPS. Plain HTTP is for this machine only: what comes over it may be anybody's.
func fetch(ctx context.Context, source string) ([]byte, error) {
	u, err := url.Parse(source)
	if err != nil || u.Host == "" {
		text, err := os.ReadFile(source)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", source, reason(err))
		}
		return text, nil
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !onThisMachine(u.Hostname())) {
		return nil, fmt.Errorf("%s: use an https address", source)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %w", source, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s: has the list been closed?", source, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", source, reason(err))
	}
	return text, nil
}

func onThisMachine(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}
