package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const key = "0198f1c2-0000-7000-8000-000000000001"
	w := f.post(key, goodOrder)
	o := f.anOrder(t, key)
	if w.Code != http.StatusCreated || w.Header().Get("Location") != "/api/v1/orders/"+o.ID.String() || w.Header().Get("Idempotent-Replayed") != "" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("an order may be cached: %v", w.Header())
	}
	var view OrderView
	if err := json.Unmarshal(w.Body.Bytes(), &view); err != nil {
		t.Fatal(err)
	}
	want := "https://daftar.example.id/orders/" + o.ID.String() + "?token=" + view.AccessToken
	if view.Currency != "IDR" || view.StatusURL != want || len(view.Participants) != 1 || view.Participants[0].Status != "held" {
		t.Errorf("%+v", view)
	}
	again := f.post(key, goodOrder)
	if again.Code != http.StatusCreated || again.Header().Get("Idempotent-Replayed") != "true" || again.Body.String() != w.Body.String() {
		t.Errorf("the repeat: %d %v %s", again.Code, again.Header(), again.Body)
	}
}

func TestIdempotencyKeyForms(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const key = "8e03978e-40d5-43dd-bc93-6894a57f9324"
	o := f.anOrder(t, key)
	for _, header := range [][]string{
		{"Idempotency-Key", key},
		{"Idempotency-Key", `"` + key + `"`},
		{"X-Idempotency-Key", key},
		{"X-Idempotency-Key", `"` + key + `"`},
		{"idempotency-key", key},
		{"Idempotency-Key", key, "X-Idempotency-Key", "another"},
	} {
		w := f.ask("POST", ordersPath, goodOrder, append(header, "Content-Type", "application/json")...)
		if w.Header().Get("Location") != "/api/v1/orders/"+o.ID.String() {
			t.Errorf("%v: %d %s", header, w.Code, w.Body)
		}
	}
	for _, key := range []string{"", `""`, "with space", "tab\tin", "é", strings.Repeat("k", 256), "\x7f"} {
		w := f.post(key, goodOrder)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "idempotency_key_missing") {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	}
	if w := f.post(strings.Repeat("k", 255), goodOrder); w.Code != http.StatusCreated {
		t.Errorf("255 characters: %d", w.Code)
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "Application/JSON": 201, "application/vnd.gapura+json": 201,
		"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415,
		"application/jsonp": 415, "json": 415, "application/json; charset": 415, "text/json": 415,
	} {
		f := newFixture(t)
		w := f.ask("POST", ordersPath, goodOrder, "Content-Type", contentType, "Idempotency-Key", "k")
		if w.Code != want {
			t.Errorf("%q: %d, want %d", contentType, w.Code, want)
		}
	}
}

func TestARefusalBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.desk.shed = errPlanted
	if w := f.post("k", "not even JSON"); w.Code != 500 {
		t.Errorf("the body was looked at first: %d %s", w.Code, w.Body)
	}
}

// pointers returns the faulty places of a validation_failed document.
func pointers(t *testing.T, body []byte) map[string]string {
	t.Helper()
	var problem struct {
		Code   string
		Errors []struct{ Pointer, Code, Detail string }
	}
	if err := json.Unmarshal(body, &problem); err != nil || problem.Code != "validation_failed" {
		t.Fatalf("no validation_failed: %v %s", err, body)
	}
	all := map[string]string{}
	for _, e := range problem.Errors {
		if e.Detail == "" {
			t.Errorf("%s %s has no sentence", e.Pointer, e.Code)
		}
		all[e.Pointer] = e.Code
	}
	return all
}

func TestEveryWrongTypeIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.post("k", `{"contact":{"name":1,"email":["a"],"phone":{}},"participants":[{"category":true,"name":null,"birth_date":19940502,
		"gender":1.5,"answers":{"jersey":7,"a/b~c":[]}},"none",{"answers":"M"}],"locale":[],"captcha":0,"expected_total":"200000"}`)
	if w.Code != 422 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := pointers(t, w.Body.Bytes())
	for _, at := range []string{
		"/contact/name", "/contact/email", "/contact/phone", "/participants/0/category", "/participants/0/birth_date",
		"/participants/0/gender", "/participants/0/answers/jersey", "/participants/0/answers/a~1b~0c", "/participants/1",
		"/participants/2/answers", "/locale", "/captcha", "/expected_total",
	} {
		if got[at] != "wrong_type" {
			t.Errorf("%s: %q", at, got[at])
		}
		delete(got, at)
	}
	if len(got) > 0 {
		t.Errorf("named without reason: %v", got)
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[`, 60_000)
	many := `{"contact":{` + strings.Repeat(`"x":1,`, 10) + `"name":"A"}}`
	wide := &strings.Builder{}
	for i := range 9_000 {
		fmt.Fprintf(wide, `"%d":1,`, i)
	}
	for name, c := range map[string]struct {
		body   string
		code   string
		places map[string]string
	}{
		"empty":                 {``, "bad_json", nil},
		"white space":           {" \n", "bad_json", nil},
		"truncated":             {goodOrder[:100], "bad_json", nil},
		"trailing value":        {goodOrder + `{}`, "bad_json", nil},
		"trailing comma":        {`{"locale":"id",}`, "bad_json", nil},
		"not JSON":              {`contact=Siti`, "bad_json", nil},
		"invalid UTF-8":         {"{\"locale\":\"id\xff\"}", "bad_json", nil},
		"byte order mark":       {"\ufeff{}", "bad_json", nil},
		"raw NUL":               {"{\"locale\":\"i\x00d\"}", "bad_json", nil},
		"deep":                  {deep, "bad_json", nil},
		"deep and closed":       {`{"x":` + deep + strings.Repeat(`]`, 60_000) + `}`, "bad_json", nil},
		"NaN":                   {`{"expected_total":NaN}`, "bad_json", nil},
		"too large":             {`{"captcha":"` + strings.Repeat("x", maxOrderBody) + `"}`, "too_large", nil},
		"a list":                {`[]`, "validation_failed", map[string]string{"": "wrong_type"}},
		"a string":              {`"order"`, "validation_failed", map[string]string{"": "wrong_type"}},
		"a number":              {`7`, "validation_failed", map[string]string{"": "wrong_type"}},
		"1e400":                 {`{"expected_total":1e400}`, "validation_failed", map[string]string{"/expected_total": "wrong_type"}},
		"a fraction":            {`{"expected_total":0.5}`, "validation_failed", map[string]string{"/expected_total": "wrong_type"}},
		"1.0":                   {`{"expected_total":1.0}`, "validation_failed", map[string]string{"/expected_total": "wrong_type"}},
		"beyond 64 bits":        {`{"expected_total":9223372036854775808}`, "validation_failed", map[string]string{"/expected_total": "wrong_type"}},
		"another case":          {`{"CONTACT":{"Name":1}}`, "validation_failed", map[string]string{"/CONTACT/Name": "wrong_type"}},
		"huge unknown number":   {`{"x":1e999999}`, "", nil},
		"unknown members":       {`{"x":{"y":[1,2,{"z":null}]}, "é":true}`, "", nil},
		"null":                  {`null`, "", nil},
		"a repeated member":     {`{"locale":"id","locale":"en"}`, "validation_failed", map[string]string{"/locale": "repeated_member"}},
		"repeated in a list":    {`{"participants":[{},{"name":"A","n\u0061me":"B"}]}`, "validation_failed", map[string]string{"/participants/1/name": "repeated_member"}},
		"repeated, other case":  {`{"participants":[],"Participants":[{}]}`, "validation_failed", map[string]string{"/Participants": "repeated_member"}},
		"repeated and unknown":  {many, "validation_failed", map[string]string{"/contact/x": "repeated_member"}},
		"the same in two":       {`{"contact":{"name":"A"},"participants":[{"name":"A"},{"name":"B"}]}`, "", nil},
		"thousands of members":  {`{"participants":[{"answers":{` + wide.String() + `"x":"1"}}]}`, "validation_failed", nil},
		"thousands, unknown":    {`{"x":{` + wide.String() + `"x":"1"}}`, "validation_failed", map[string]string{"/x/128": "too_long"}},
		"an escaped quote":      {`{"locale":"\"","captcha":"\\"}`, "", nil},
		"empty names and lists": {`{"":{},"x":[],"y":{"":[[]]}}`, "", nil},
	} {
		f := newFixture(t)
		w := f.post("k", c.body)
		if c.code == "" {
			if w.Code != http.StatusCreated {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
			continue
		}
		if !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %.300s", name, w.Code, w.Body)
			continue
		}
		if len(f.desk.byKey) > 0 {
			t.Errorf("%s was registered", name)
		}
		if c.places != nil {
			if got := pointers(t, w.Body.Bytes()); fmt.Sprint(got) != fmt.Sprint(c.places) {
				t.Errorf("%s: %v, want %v", name, got, c.places)
			}
		}
	}
}

func TestOnlyTheOrdersOwnTokenOpensIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	own, other := f.anOrder(t, "key-of-the-first-visitor"), f.anOrder(t, "key-of-another-visitor")
	token := f.desk.Token(own.ID)
	path := "/api/v1/orders/" + own.ID.String()
	for _, with := range [][]string{
		{path, "Bearer " + token},
		{path, "bearer " + token},
		{path, "Bearer  " + token},
		{path + "?token=" + token, ""},
		{path + "?token=" + token, "Basic Z2F0ZTpnYXRl"},
		{"/api/v1/orders/" + strings.ToUpper(own.ID.String()), "Bearer " + token},
	} {
		if w := f.ask("GET", with[0], "", "Authorization", with[1]); w.Code != 200 {
			t.Errorf("%v: %d", with, w.Code)
		}
	}
	unknown := "/api/v1/orders/0198f1c2-0000-7000-8000-000000000001"
	refusals := map[string]bool{}
	for _, with := range [][]string{
		{path, ""},
		{path, "Bearer"},
		{path, "Bearer x"},
		{path, token},
		{path, "Basic " + token},
		{path, "Bearer " + f.desk.Token(other.ID)},
		{path, "Bearer " + token[:21]},
		{path, "Bearer " + token + "A"},
		{path, "Bearer " + strings.ToUpper(token)},
		{path + "?token=" + token, "Bearer wrong"},
		{path + "?token=" + f.desk.Token(other.ID), ""},
		{path + "?Token=" + token, ""},
		{path + "?token=%00" + token, ""},
		{unknown, "Bearer " + token},
		{unknown, ""},
		{"/api/v1/orders/none", "Bearer " + token},
		{"/api/v1/orders/%00", ""},
		{"/api/v1/orders/" + strings.ReplaceAll(own.ID.String(), "-", ""), "Bearer " + token},
	} {
		for _, call := range []string{"GET ", "POST /cancel", "GET /stream"} {
			method, below, _ := strings.Cut(call, " ")
			target, query, _ := strings.Cut(with[0], "?")
			w := f.ask(method, target+below+"?"+query, "", "Authorization", with[1])
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %v: %d %v", call, with, w.Code, w.Header())
			}
			refusals[w.Body.String()] = true
		}
	}
	if len(refusals) != 1 {
		t.Errorf("refusals differ, which tells which orders exist: %v", refusals)
	}
}

func TestAnOrderByItsKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, key := range []string{
		"0198f1c2-0000-7000-8000-000000000001", "a/key/with/slashes/in/it", "percent%and?query#fragment", "..//../a-key-like-a-path",
		"a+plus&and=equals;semicolon", `a"quote"inside-and-twenty-more`, "stream-stream-stream-stream/stream",
	} {
		o := f.anOrder(t, key)
		w := f.ask("GET", "/api/v1/orders/by-key/"+url.PathEscape(key), "")
		var view OrderView
		if err := json.Unmarshal(w.Body.Bytes(), &view); err != nil || w.Code != 200 || view.ID != o.ID.String() || view.AccessToken == "" {
			t.Errorf("%s: %d %s", key, w.Code, w.Body)
		}
	}
	f.anOrder(t, "bare/slashes/need/no/escaping")
	if w := f.ask("GET", "/api/v1/orders/by-key/bare/slashes/need/no/escaping", ""); w.Code != 200 {
		t.Errorf("bare slashes: %d %s", w.Code, w.Body)
	}
	for _, key := range []string{"nobody-has-this-key-at-all", "%20", "%00", strings.Repeat("k", 300), "stream"} {
		if w := f.ask("GET", "/api/v1/orders/by-key/"+key, ""); w.Code != 404 || !strings.Contains(w.Body.String(), `"no_such_order"`) {
			t.Errorf("%.40s: %d %s", key, w.Code, w.Body)
		}
	}
}

func TestAGuessableKeyRevealsNothingPersonal(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.anOrder(t, "order-1")
	body := f.ask("GET", "/api/v1/orders/by-key/order-1", "").Body.String()
	for _, secret := range []string{"Siti", "siti@", "0812", f.desk.Token(o.ID), "participants", "status_url", "access_token"} {
		if strings.Contains(body, secret) {
			t.Errorf("%q is in %s", secret, body)
		}
	}
	if !strings.Contains(body, `"status":"awaiting_payment"`) || !strings.Contains(body, o.ID.String()) {
		t.Errorf("the question is not answered: %s", body)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.anOrder(t, "a-key-of-twenty-or-more")
	bearer := "Bearer " + f.desk.Token(o.ID)
	path := "/api/v1/orders/" + o.ID.String() + "/cancel"
	if w := f.ask("POST", path, "", "Authorization", bearer); w.Code != 200 || !strings.Contains(w.Body.String(), `"cancelled"`) ||
		!strings.Contains(w.Body.String(), `"released"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := f.ask("POST", path, "", "Authorization", bearer); w.Code != 409 || !strings.Contains(w.Body.String(), `"wrong_state"`) {
		t.Errorf("again: %d %s", w.Code, w.Body)
	}
}
