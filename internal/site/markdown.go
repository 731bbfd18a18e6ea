package site

import (
	"bytes"
	"fmt"
	"html/template"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdown renders an organiser's text. HTML in it is left out and links of other schemes than those of the web and of
// mail are emptied: goldmark's safe mode.
func markdown(source string) (template.HTML, error) {
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(outline{}, 100))),
	)
	var b bytes.Buffer
	if err := md.Convert([]byte(source), &b); err != nil {
		return "", fmt.Errorf("event description: %w", err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // goldmark escapes everything and passes no HTML through
}

// outline fits the text into the page: its headings start below the page's own h2 and skip no level, and its links tell
// search engines nothing.
type outline struct{}

// Transform implements parser.ASTTransformer.
func (outline) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	top, last := 0, 2
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			if top == 0 || n.Level < top {
				top = n.Level
			}
			n.Level = min(3+n.Level-top, last+1, 6)
			last = n.Level
		case *ast.Link, *ast.AutoLink:
			n.SetAttributeString("rel", []byte("nofollow noopener"))
		}
		return ast.WalkContinue, nil
	})
}
