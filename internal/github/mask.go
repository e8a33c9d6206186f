package github

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// masked is the request without known secrets in what it tells GitHub: the last look at whatever leaves. What is
// refused or lost on the way here would be public there.
func (l *link) masked(req *http.Request) (*http.Request, error) {
	if req.Body == nil || l.known == nil {
		return req, nil
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	// Texts are looked through as what they say, not as they are written. What is not JSON is looked through as it is.
	if changed := false; dec.Decode(&v) == nil {
		if v = l.maskTexts(v, &changed); changed {
			if body, err = json.Marshal(v); err != nil {
				return nil, fmt.Errorf("write request: %w", err)
			}
		}
	} else {
		body = []byte(l.known.Text(string(body)))
	}
	fresh := req.Clone(req.Context())
	fresh.ContentLength = int64(len(body))
	fresh.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	fresh.Body, err = fresh.GetBody()
	return fresh, err
}

func (l *link) maskTexts(v any, changed *bool) any {
	switch v := v.(type) {
	case string:
		masked := l.known.Text(v)
		*changed = *changed || masked != v
		return masked
	case []any:
		for i := range v {
			v[i] = l.maskTexts(v[i], changed)
		}
	case map[string]any:
		for k := range v {
			v[k] = l.maskTexts(v[k], changed)
		}
	}
	return v
}
