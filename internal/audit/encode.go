package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What others write ends in rows too: names, titles, reasons. A row must stay one that people can
// read and a disk can hold.
const (
	maxText = 2000 // bytes of one text
	maxList = 500  // elements of one list
)

// encode is v as JSON on one line, with nothing in it that could pass for something else on a
// screen.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // ids have more digits than a float
	var tree any
	if err := d.Decode(&tree); err != nil {
		return "", err
	}
	b, err = json.Marshal(tamed(tree))
	return string(b), err
}

func tamed(v any) any {
	switch v := v.(type) {
	case string:
		return plain(v)
	case []any:
		for i := range v {
			v[i] = tamed(v[i])
		}
		if more := len(v) - maxList; more > 0 {
			return append(v[:maxList], fmt.Sprintf("and %d more", more))
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[plain(k)] = tamed(x)
		}
		return out
	}
	return v
}

// plain shows characters that steer a screen as what they are, and bounds the length.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() > maxText {
			fmt.Fprintf(&b, "… (%d bytes)", len(s))
			break
		}
		if r == utf8.RuneError || unicode.Is(unicode.C, r) {
			fmt.Fprintf(&b, "‹%U›", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
