package ghsim

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	ghtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// newMarkdown renders as GitHub renders comments: its own flavour of Markdown, line ends kept, and
// of raw HTML only a few harmless tags.
func newMarkdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(extension.GFM),
		goldmark.WithRendererOptions(
			ghtml.WithHardWraps(),
			renderer.WithNodeRenderers(util.Prioritized(safeHTML{}, 100)), // before the default, which has 1000
		),
	)
}

// markdown renders a text; what can't be rendered is shown as it is.
func (s *Server) markdown(text string) template.HTML {
	var out bytes.Buffer
	if err := s.md.Convert([]byte(text), &out); err != nil {
		return template.HTML("<pre>" + html.EscapeString(text) + "</pre>")
	}
	return template.HTML(out.String())
}

// safeHTML renders raw HTML and code blocks.
type safeHTML struct{}

func (safeHTML) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindRawHTML, func(w util.BufWriter, source []byte, n ast.Node, enter bool) (ast.WalkStatus, error) {
		if enter {
			_, _ = w.WriteString(allowedHTML(string(n.(*ast.RawHTML).Segments.Value(source))))
		}
		return ast.WalkSkipChildren, nil
	})
	reg.Register(ast.KindHTMLBlock, func(w util.BufWriter, source []byte, n ast.Node, enter bool) (ast.WalkStatus, error) {
		block := n.(*ast.HTMLBlock)
		text := string(block.Lines().Value(source))
		if block.HasClosure() {
			text += string(block.ClosureLine.Value(source))
		}
		if enter {
			_, _ = w.WriteString(allowedHTML(text))
		}
		return ast.WalkContinue, nil
	})
	reg.Register(ast.KindFencedCodeBlock, renderCode)
}

var (
	htmlComment = regexp.MustCompile(`(?s)<!--.*?(?:-->|$)`)
	htmlTag     = regexp.MustCompile(`</?([a-zA-Z][a-zA-Z0-9]*)\b[^<>]*>`)
)

var allowedTags = []string{"details", "summary", "br", "sub", "sup", "code", "b", "strong", "em", "kbd"}

// allowedHTML keeps the allowed tags without their attributes, drops all others and comments, and
// shows the rest as text.
func allowedHTML(raw string) string {
	raw = htmlComment.ReplaceAllString(raw, "")
	var out strings.Builder
	at := 0
	for _, m := range htmlTag.FindAllStringSubmatchIndex(raw, -1) {
		out.WriteString(escapeText(raw[at:m[0]]))
		at = m[1]
		tag := strings.ToLower(raw[m[2]:m[3]])
		if !slices.Contains(allowedTags, tag) {
			continue
		}
		slash, open := "", ""
		if raw[m[0]+1] == '/' {
			slash = "/"
		} else if tag == "details" && strings.Contains(raw[m[0]:m[1]], " open") {
			open = " open"
		}
		out.WriteString("<" + slash + tag + open + ">")
	}
	out.WriteString(escapeText(raw[at:]))
	return out.String()
}

// escapeText leaves entities as they are.
func escapeText(text string) string { return html.EscapeString(html.UnescapeString(text)) }

// renderCode colours the lines of diffs; the other languages stay plain.
func renderCode(w util.BufWriter, source []byte, node ast.Node, enter bool) (ast.WalkStatus, error) {
	if !enter {
		return ast.WalkContinue, nil
	}
	block := node.(*ast.FencedCodeBlock)
	language := string(block.Language(source))
	fmt.Fprintf(w, `<pre class="code" data-language="%s"><code>`, html.EscapeString(language))
	for line := range strings.Lines(string(block.Lines().Value(source))) {
		class := ""
		if language == "diff" {
			class = map[byte]string{'+': "add", '-': "del", '!': "mod", '#': "dim", '@': "dim"}[line[0]]
		}
		if class == "" {
			_, _ = w.WriteString(html.EscapeString(line))
			continue
		}
		fmt.Fprintf(w, `<span class="%s">%s</span>`, class, html.EscapeString(line))
	}
	_, _ = w.WriteString("</code></pre>\n")
	return ast.WalkSkipChildren, nil
}
