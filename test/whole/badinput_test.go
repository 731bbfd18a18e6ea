package whole

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// answer is what came back on a connection, and whether the server kept it open.
type answer struct {
	status int
	header http.Header
	body   string
}

// send writes bytes on a connection of its own, closes its own half if asked to, and reads one answer.
func send(t *testing.T, n *node, request string, halfClose bool) answer {
	t.Helper()
	conn, err := net.Dial("tcp", n.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(conn, request) // a server that has heard enough stops reading
		if halfClose {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	w, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{body: err.Error()}
	}
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Errorf("the answer breaks off: %v", err)
	}
	_ = w.Body.Close()
	_ = conn.Close()
	<-written
	return answer{w.StatusCode, w.Header, string(text)}
}

const path = "/api/v1/events/night-run/orders"

// post is a request with a body, as bytes.
func post(key, body string, fields ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		path, key, len(body), strings.Join(append(fields, ""), "\r\n"), body)
}

// problem reads an answer as a problem document.
func (a answer) problem(t *testing.T) (code string, faults map[string]string) {
	t.Helper()
	var document struct {
		Type, Title, Code, Detail string
		Status                    int
		Errors                    []struct{ Pointer, Code, Detail string }
	}
	if err := json.Unmarshal([]byte(a.body), &document); err != nil || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("no problem document: %d %.200s", a.status, a.body)
		return "", nil
	}
	if document.Status != a.status || document.Title == "" || document.Detail == "" || document.Type == "" {
		t.Errorf("an incomplete problem document: %d %s", a.status, a.body)
	}
	faults = map[string]string{}
	for _, f := range document.Errors {
		faults[f.Pointer] = f.Code
	}
	return document.Code, faults
}

// person is a correct participant whose members can be replaced.
func person(replace ...any) map[string]any {
	p := map[string]any{
		"category": "10k", "name": "Siti Aminah", "email": "siti@example.id", "phone": "0812-3456-789", "birth_date": "1994-05-02",
		"gender": "female", "answers": map[string]any{"jersey": "M"},
	}
	for i := 0; i+1 < len(replace); i += 2 {
		p[replace[i].(string)] = replace[i+1]
	}
	return p
}

// orderOf is a correct order of those participants, with members replaced.
func orderOf(participants any, replace ...any) string {
	o := map[string]any{
		"contact":      map[string]any{"name": "Siti Aminah", "email": "siti@example.id", "phone": "0812-3456-789"},
		"participants": participants, "locale": "id",
	}
	for i := 0; i+1 < len(replace); i += 2 {
		o[replace[i].(string)] = replace[i+1]
	}
	text, _ := json.Marshal(o) // maps of strings and numbers always have a JSON form
	return string(text)
}

func one(replace ...any) string { return orderOf([]any{person(replace...)}) }

// faulty are orders that a person or a program could send, and the faults they must be told.
func faulty() map[string]struct {
	body   string
	faults map[string]string
} {
	six := []any{}
	for i := range 6 {
		six = append(six, person("email", fmt.Sprintf("p%d@example.id", i), "phone", fmt.Sprintf("+62812000001%d", i)))
	}
	long := strings.Repeat("x", 10_000)
	tomorrow := time.Now().AddDate(0, 0, 2).Format(time.DateOnly)
	type f = map[string]string
	return map[string]struct {
		body   string
		faults map[string]string
	}{
		"a name of 10,000 characters":      {one("name", long), f{"/participants/0/name": "too_long"}},
		"a control character in a name":    {one("name", "Siti\aAminah"), f{"/participants/0/name": "control_character"}},
		"NUL in a name":                    {one("name", "Siti\x00"), f{"/participants/0/name": "control_character"}},
		"a line break in a name":           {one("name", "Siti\r\nBcc: x@example.id"), f{"/participants/0/name": "control_character"}},
		"a change of direction in a name":  {one("name", "Siti\u202eimA"), f{"/participants/0/name": "control_character"}},
		"a name without letters":           {one("name", "12345"), f{"/participants/0/name": "name_invalid"}},
		"half a surrogate pair in a name":  {strings.Replace(one(), `"name":"Siti Aminah","phone"`, `"name":"Siti \ud800","phone"`, 2), f{"/contact/name": "name_invalid", "/participants/0/name": "name_invalid"}},
		"no name":                          {one("name", " "), f{"/participants/0/name": "required"}},
		"an address that is none":          {one("email", "siti"), f{"/participants/0/email": "email_invalid"}},
		"an address of 10,000 characters":  {one("email", long+"@example.id"), f{"/participants/0/email": "email_invalid"}},
		"an address with a line break":     {one("email", "siti@example.id\nBcc:x@y.id"), f{"/participants/0/email": "email_invalid"}},
		"a phone that is none":             {one("phone", "abc"), f{"/participants/0/phone": "phone_invalid"}},
		"a phone of ten thousand digits":   {one("phone", strings.Repeat("8", 10_000)), f{"/participants/0/phone": "phone_invalid"}},
		"a birth date in the future":       {one("birth_date", tomorrow), f{"/participants/0/birth_date": "date_in_future"}},
		"a day that does not exist":        {one("birth_date", "1994-02-30"), f{"/participants/0/birth_date": "date_invalid"}},
		"a birth date in another form":     {one("birth_date", "02/05/1994"), f{"/participants/0/birth_date": "date_invalid"}},
		"an unknown category":              {one("category", "marathon", "answers", nil), f{"/participants/0/category": "unknown_category"}},
		"a category like a path":           {one("category", "../../etc/passwd", "answers", nil), f{"/participants/0/category": "unknown_category"}},
		"a category like SQL":              {one("category", "10k' OR 1=1 --", "answers", nil), f{"/participants/0/category": "unknown_category"}},
		"an unknown gender":                {one("gender", "f"), f{"/participants/0/gender": "unknown_option"}},
		"an unknown option":                {one("answers", map[string]any{"jersey": "XXXL"}), f{"/participants/0/answers/jersey": "unknown_option"}},
		"a missing answer":                 {one("answers", nil), f{"/participants/0/answers/jersey": "required"}},
		"an unknown question":              {one("answers", map[string]any{"jersey": "M", "shoe": "42"}), f{"/participants/0/answers": "unknown_question"}},
		"a long answer":                    {one("answers", map[string]any{"jersey": "M", "note": long}), f{"/participants/0/answers/note": "too_long"}},
		"NUL in an answer":                 {one("answers", map[string]any{"jersey": "M", "note": "a\x00b"}), f{"/participants/0/answers/note": "control_character"}},
		"a checkbox that says maybe":       {one("answers", map[string]any{"jersey": "M", "fit": "maybe"}), f{"/participants/0/answers/fit": "unknown_option"}},
		"no participants":                  {orderOf([]any{}), f{"/participants": "required"}},
		"no participants at all":           {orderOf(nil), f{"/participants": "required"}},
		"more participants than an order":  {orderOf(six), f{"/participants": "too_many_participants"}},
		"a negative count of participants": {orderOf(-1), f{"/participants": "wrong_type"}},
		"one person twice":                 {orderOf([]any{person(), person("name", "Siti A.", "phone", "+62 812 3456 789", "email", "SITI@example.id")}), f{"/participants/1": "duplicate_participant"}},
		"an unknown language":              {orderOf([]any{person()}, "locale", "fr"), f{"/locale": "unknown_option"}},
		"everything of a wrong type": {`{"contact":[],"participants":[{"category":1,"name":{},"email":[],"phone":0,"birth_date":true,"gender":2,"answers":"M"},3],"locale":{},"captcha":1,"expected_total":"x"}`, f{
			"/contact": "wrong_type", "/participants/0/category": "wrong_type", "/participants/0/name": "wrong_type", "/participants/0/email": "wrong_type",
			"/participants/0/phone": "wrong_type", "/participants/0/birth_date": "wrong_type", "/participants/0/gender": "wrong_type",
			"/participants/0/answers": "wrong_type", "/participants/1": "wrong_type", "/locale": "wrong_type", "/captcha": "wrong_type", "/expected_total": "wrong_type",
		}},
		"a number beyond all numbers": {orderOf([]any{person()}, "expected_total", json.RawMessage("1e400")), f{"/expected_total": "wrong_type"}},
		"a member twice":              {strings.Replace(one(), `"gender":"female"`, `"gender":"female","name":"Budi"`, 1), f{"/participants/0/name": "repeated_member"}},
		"nothing at all":              {`{}`, f{"/contact/name": "required", "/contact/email": "required", "/contact/phone": "required", "/participants": "required"}},
		"every fault at once": {orderOf([]any{person("name", "", "email", "x", "phone", "y", "birth_date", "z", "category", "q", "gender", "", "answers", nil)}, "contact", map[string]any{}, "locale", "xx"), f{
			"/contact/name": "required", "/contact/email": "required", "/contact/phone": "required", "/locale": "unknown_option",
			"/participants/0/name": "required", "/participants/0/email": "email_invalid", "/participants/0/phone": "phone_invalid",
			"/participants/0/birth_date": "date_invalid", "/participants/0/category": "unknown_category", "/participants/0/gender": "required",
		}},
	}
}

// TestBadInput: whatever comes gets a clear answer, never a 5xx, and leaves no row behind.
func TestBadInput(t *testing.T) { //nolint:tparallel // the subtests end before their rows are counted
	t.Parallel()
	i := onSQLite(t)
	i.environment = append(i.environment, "RATE_LIMITS=off") // one sender with hundreds of bad requests would be stopped
	i.apply(t, 1000)
	n := i.serve(t)
	for k, name := range []string{"李小龍", "محمد علي", "Nguyễn Thị Ánh", "Ñandú Ðórð", "Óláfr Ŝušić-O’Neill", "ශ්\u200dරී", "Ван Иван"} {
		if a := send(t, n, post(fmt.Sprintf("foreign-%d", k), order(k, name)), false); a.status != 201 || !strings.Contains(a.body, name) {
			t.Errorf("%s is a name: %d %s", name, a.status, a.body)
		}
	}
	kept := i.rows(t)
	slow := make(chan struct{})
	go func() { defer close(slow); slowClients(t, n) }()
	t.Run("all", func(t *testing.T) {
		t.Run("orders", func(t *testing.T) { badOrders(t, n) })
		t.Run("bodies", func(t *testing.T) { badBodies(t, n) })
		t.Run("HTTP", func(t *testing.T) { badHTTP(t, n) })
		t.Run("tokens", func(t *testing.T) { badTokens(t, n) })
		t.Run("forms", func(t *testing.T) { badForms(t, n) })
	})
	<-slow
	if left := i.rows(t); !maps.Equal(left, kept) {
		t.Errorf("rows before %v, after %v", kept, left)
	}
	i.clean(t)
	if a := send(t, n, post("afterwards", order(900, "Siti Aminah")), false); a.status != 201 {
		t.Errorf("a good order afterwards: %d %s", a.status, a.body)
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	if bytes.Contains(n.log.Bytes(), []byte(`"level":"ERROR"`)) || bytes.Contains(n.log.Bytes(), []byte("panic")) {
		t.Errorf("the log has errors:\n%s", n.log)
	}
}

// rows counts what an order leaves behind.
func (i *installation) rows(t *testing.T) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, table := range []string{"orders", "participants", "claims"} {
		all[table] = i.count(t, "SELECT COUNT(*) FROM "+table)
	}
	return all
}

func badOrders(t *testing.T, n *node) {
	for name, c := range faulty() {
		a := send(t, n, post("bad-order", c.body), false)
		code, faults := a.problem(t)
		if a.status != 422 || code != "validation_failed" || !maps.Equal(faults, c.faults) {
			t.Errorf("%s: %d %s %v, want %v", name, a.status, code, faults, c.faults)
		}
	}
	for total, want := range map[int]string{-1: "price_changed", 1: "price_changed"} {
		a := send(t, n, post("bad-total", orderOf([]any{person()}, "expected_total", total)), false)
		if code, _ := a.problem(t); a.status != 409 || code != want {
			t.Errorf("expected_total %d: %d %s", total, a.status, code)
		}
	}
}

func badBodies(t *testing.T, n *node) {
	good := one()
	for name, c := range map[string]struct{ request, code string }{
		"no JSON":              {post("k", "name=Siti"), "bad_json"},
		"empty":                {post("k", ""), "bad_json"},
		"truncated JSON":       {post("k", good[:len(good)/2]), "bad_json"},
		"two documents":        {post("k", good+good), "bad_json"},
		"invalid UTF-8":        {post("k", strings.Replace(good, "Siti", "Si\xff\xfeti", 1)), "bad_json"},
		"raw NUL":              {post("k", strings.Replace(good, "Siti", "Si\x00ti", 1)), "bad_json"},
		"UTF-16":               {post("k", "\xff\xfe{\x00}\x00"), "bad_json"},
		"deep nesting":         {post("k", strings.Repeat(`{"a":`, 25_000)), "bad_json"},
		"deep nesting, closed": {post("k", strings.Repeat(`[`, 60_000)+strings.Repeat(`]`, 60_000)), "bad_json"},
		"10 MB":                {post("k", `{"captcha":"`+strings.Repeat("x", 10<<20)+`"}`), "too_large"},
		"10 MB, chunked": {"POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n" +
			"Transfer-Encoding: chunked\r\n\r\nA00000\r\n" + strings.Repeat(" ", 10<<20) + "\r\n0\r\n\r\n", "too_large"},
		"compressed":                 {post("k", "\x1f\x8b\x08\x00garbage", "Content-Encoding: gzip"), "bad_json"},
		"no key":                     {strings.Replace(post("k", good), "Idempotency-Key: k\r\n", "", 1), "idempotency_key_missing"},
		"a key of spaces":            {post("   ", good), "idempotency_key_missing"},
		"a key of 10,000 characters": {post(strings.Repeat("k", 10_000), good), "idempotency_key_missing"},
		"a form":                     {strings.Replace(post("k", good), "application/json", "application/x-www-form-urlencoded", 1), "unsupported_media_type"},
		"no type":                    {strings.Replace(post("k", good), "Content-Type: application/json\r\n", "", 1), "unsupported_media_type"},
		"another site":               {post("k", good, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"), "cross_origin"},
		"no event":                   {strings.Replace(post("k", good), "night-run", "no-such-run", 1), "no_such_event"},
		"the wrong method":           {strings.Replace(post("k", good), "POST", "PUT", 1), "method_not_allowed"},
		"an invented method":         {strings.Replace(post("k", good), "POST", "BREW", 1), "method_not_allowed"},
	} {
		a := send(t, n, c.request, false)
		if code, _ := a.problem(t); code != c.code {
			t.Errorf("%s: %d %q, want %s", name, a.status, code, c.code)
		}
	}
	// What breaks off in the middle is refused, also by a client that then waits for an answer.
	for name, request := range map[string]string{
		"a body shorter than announced": strings.Replace(post("k", good), "Content-Length: ", "Content-Length: 9", 1),
		"a truncated chunk":             strings.Replace(post("k", "FFF\r\n"+good), "Content-Length: ", "Transfer-Encoding: chunked\r\nX-Was: ", 1),
		"a chunk without an end":        strings.Replace(post("k", fmt.Sprintf("%x\r\n%s\r\n", len(good), good)), "Content-Length: ", "Transfer-Encoding: chunked\r\nX-Was: ", 1),
		"a chunk size that is none":     strings.Replace(post("k", "zz\r\n"+good), "Content-Length: ", "Transfer-Encoding: chunked\r\nX-Was: ", 1),
	} {
		a := send(t, n, request, true)
		if code, _ := a.problem(t); a.status != 400 || code != "bad_json" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// badHTTP is refused before there is a request that a handler could answer, with a problem document all the same.
func badHTTP(t *testing.T, n *node) {
	good := one()
	head := "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"
	for name, c := range map[string]struct {
		request string
		status  []int
	}{
		"a header of 1 MB":         {head + "X-Long: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", []int{431}},
		"a thousand headers":       {head + strings.Repeat("X-Many: 0123456789012345\r\n", 1000) + "\r\n", []int{431}},
		"a header of 10 MB":        {head + "X-Long: " + strings.Repeat("x", 10<<20) + "\r\n\r\n", []int{431}},
		"no protocol":              {"hello\r\n\r\n", []int{400}},
		"an address of 100 KB":     {"GET /" + strings.Repeat("x", 100<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}},
		"two lengths":              {head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", []int{400}},
		"a negative length":        {head + "Content-Length: -5\r\n\r\nhello", []int{400}},
		"a signed length":          {head + "Content-Length: +5\r\n\r\nhello", []int{400}},
		"an endless length":        {head + "Content-Length: 99999999999999999999\r\n\r\nhello", []int{400}},
		"an unknown coding":        {head + "Transfer-Encoding: xchunked\r\n\r\n" + good, []int{400, 501}},
		"chunked twice":            {head + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", []int{400, 501}},
		"a space before the colon": {head + "Content-Length : 5\r\n\r\nhello", []int{400}},
		"a folded header":          {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", []int{400}},
		"NUL in a header":          {head + "X-Nul: a\x00b\r\n\r\n", []int{400}},
		"no host":                  {"GET /api/v1/events HTTP/1.1\r\n\r\n", []int{400}},
		"two hosts":                {"GET /api/v1/events HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", []int{400}},
		"a broken escape":          {"GET /api/v1/events/%zz HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
		"TLS":                      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", []int{400}},
		"HTTP/3.7":                 {"GET / HTTP/3.7\r\nHost: x\r\n\r\n", []int{400, 505}},
		"an unknown expectation":   {head + "Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n{}", []int{417}},
		"no path":                  {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", []int{400}},
	} {
		a := send(t, n, c.request, false)
		if !slices.Contains(c.status, a.status) {
			t.Errorf("%s: %d %.200s, want %v", name, a.status, a.body, c.status)
		}
		want := "bad_request"
		if a.status == http.StatusRequestHeaderFieldsTooLarge {
			want = "header_too_large"
		}
		if code, _ := a.problem(t); code != want {
			t.Errorf("%s: %q, want %s", name, code, want)
		}
	}
	// With both a length and chunks, the chunks count: what follows them is no part of this request, whatever the length says.
	both := send(t, n, head+"Content-Length: 500\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+strings.Repeat("x", 500), false)
	if both.status != 400 || !strings.Contains(both.body, "bad_json") {
		t.Errorf("a length and chunks: %d %s", both.status, both.body)
	}
	for target, want := range map[string]int{
		"/api/v1/orders/by-key/%00": 404, "/api/v1/orders/by-key/%F0%9F%8F%83": 404, "/api/v1/orders/%2e%2e%2f": 401,
		"/api/v1/events/..%2f..%2fetc%2fpasswd": 404, "/api/v1/events/night-run/availability?x=%zz;y": 200, "/e/%00": 404,
		"/orders/%ff": 404, "/assets/..%2f..%2fgo.mod": 404, "/assets/%00": 404, "*": 400,
	} {
		if a := send(t, n, "GET "+target+" HTTP/1.1\r\nHost: x\r\n\r\n", false); a.status != want {
			t.Errorf("GET %s: %d %.200s, want %d", target, a.status, a.body, want)
		}
	}
}

func badTokens(t *testing.T, n *node) {
	var orders [2]struct {
		ID    string `json:"id"`
		Token string `json:"access_token"`
	}
	for k := range orders {
		a := send(t, n, post(fmt.Sprintf("foreign-%d", k), order(k, []string{"李小龍", "محمد علي"}[k])), false)
		if err := json.Unmarshal([]byte(a.body), &orders[k]); err != nil || a.status != 201 || a.header.Get("Idempotent-Replayed") != "true" {
			t.Fatalf("the repeat: %d %s", a.status, a.body)
		}
	}
	own, foreign := orders[0], orders[1].Token
	for name, token := range map[string]string{
		"none": "", "foreign": foreign, "truncated": own.Token[:len(own.Token)-1], "longer": own.Token + "A", "upper case": strings.ToUpper(own.Token),
		"the id": own.ID, "zeros": strings.Repeat("A", len(own.Token)),
	} {
		for _, call := range []string{"GET /api/v1/orders/%s", "GET /api/v1/orders/%s/stream", "POST /api/v1/orders/%s/cancel", "POST /api/v1/orders/%s/payments"} {
			a := send(t, n, fmt.Sprintf(call+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", own.ID, token), false)
			if code, _ := a.problem(t); a.status != 401 || code != "not_allowed" {
				t.Errorf("%s, %s: %d %s", call, name, a.status, code)
			}
		}
		for _, call := range []string{"GET /orders/%s?token=%s", "POST /orders/%s/cancel?token=%s"} {
			a := send(t, n, fmt.Sprintf(call+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n", own.ID, token), false)
			if a.status < 400 || a.status >= 500 || strings.Contains(a.body, "李小龍") {
				t.Errorf("%s, %s: %d", call, name, a.status)
			}
		}
	}
	// The last of 22 characters has bits to spare: only one of the 64 may open the order.
	opened := ""
	for _, last := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		token := own.Token[:len(own.Token)-1] + string(last)
		if a := send(t, n, fmt.Sprintf("GET /api/v1/orders/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", own.ID, token), false); a.status == 200 {
			opened += token
		}
	}
	if opened != own.Token {
		t.Errorf("opened by %q, not by %q alone", opened, own.Token)
	}
}

// badForms are posted by browsers without script, and by those who only pretend to be one.
func badForms(t *testing.T, n *node) {
	form := func(body string, fields ...string) string {
		return fmt.Sprintf("POST /e/night-run/daftar HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n%s\r\n%s",
			len(body), strings.Join(append(fields, ""), "\r\n"), body)
	}
	for name, request := range map[string]string{
		"empty":               form(""),
		"a key and nothing":   form("key=form-key-form-key-form-key"),
		"broken escapes":      form("key=%zz&%zz=%"),
		"10,000 fields":       form(strings.Repeat("x=1&", 10_000)),
		"1 MB":                form("key=k&/contact/name=" + strings.Repeat("x", 1<<20)),
		"an index of 10^18":   form("key=form-key&/participants/1000000000000000000/name=Siti"),
		"a negative index":    form("key=form-key&/participants/-1/name=Siti"),
		"NUL":                 form("key=form-key&/contact/name=%00%00"),
		"invalid UTF-8":       form("key=form-key&/contact/name=%ff%fe"),
		"another site":        form("key=form-key", "Origin: https://evil.example"),
		"JSON":                strings.Replace(form("{}"), "application/x-www-form-urlencoded", "application/json", 1),
		"an impossible total": form("key=form-key&expected_total=99999999999999999999&expected_for=x"),
	} {
		if a := send(t, n, request, false); a.status >= 500 || a.status == 0 || a.status == 303 {
			t.Errorf("%s: %d %.200s", name, a.status, a.body)
		}
	}
}

// slowClients hold their connection as long as they are let: the server cuts them off and takes nothing of what they sent.
func slowClients(t *testing.T, n *node) {
	body := order(902, "Siti Aminah")
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		begin  string
		within time.Duration
		status int // 0: closed without an answer
	}{
		"nothing":        {"", 12 * time.Second, 0},
		"half a header":  {"POST " + path + " HTTP/1.1\r\nHost: x\r\nIdempotency-", 12 * time.Second, 0},
		"half a body":    {post("slow", body)[:len(post("slow", body))-10], 25 * time.Second, 400},
		"no body at all": {strings.TrimSuffix(post("slow", body), body), 25 * time.Second, 400},
	} {
		all.Go(func() {
			text, err := trickle(n, c.begin, c.within)
			if err != nil {
				t.Errorf("%s: not cut off within %s: %v, %s", name, c.within, err, text)
			}
			if want := fmt.Sprintf("HTTP/1.1 %d ", c.status); c.status > 0 && !strings.HasPrefix(string(text), want) {
				t.Errorf("%s: got %q, want %s", name, text, want)
			}
		})
	}
	all.Wait()
}

// trickle sends the beginning of a request and no more, and returns what the server says until it hangs up.
func trickle(n *node, begin string, within time.Duration) ([]byte, error) {
	conn, err := net.Dial("tcp", n.address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(conn, begin); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}
