package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxDepth bounds how deep a plan may be nested. Terraform's are some thirty levels deep; a crafted
// one must not make the engine recurse without end.
const maxDepth = 500

var (
	errSyntax = errors.New("unexpected character")
	errTwice  = errors.New("the same key twice in one object")
	errMore   = errors.New("more after the end")
	errDepth  = fmt.Errorf("nested deeper than %d levels", maxDepth)
)

// reader reads JSON from a stream into the engine's terms. Equal values become one shared term:
// a plan repeats the same few thousand strings, tags and empty objects for every resource, and
// holds most values twice, as before and after.
type reader struct {
	from   io.Reader
	buf    []byte
	start  int   // what lies before it in buf is no longer needed
	pos    int   // the next byte
	offset int64 // of buf[0] in the stream
	err    error // of from, io.EOF included

	strings map[string]*leaf
	numbers map[string]*leaf
	shared  map[uint64]node // arrays and objects by a hash of their members
	ids     uint64
	objects uint64   // how many were read
	members []member // of all objects and arrays that are being read, as a stack
	items   [][2]*ast.Term
}

// node is a term with an id that all equal values share.
type node struct {
	term *ast.Term
	id   uint64
}

// leaf is a string or number.
type leaf struct {
	node
	seen uint64 // the object that had it as a key last
}

// member is an element of an array, or of an object if it has a key.
type member struct {
	key   *leaf
	value node
}

func newReader(from io.Reader) *reader {
	return &reader{
		from: from, buf: make([]byte, 0, 64<<10), ids: 3, // below are null, false and true
		strings: map[string]*leaf{}, numbers: map[string]*leaf{}, shared: map[uint64]node{},
	}
}

// document reads an object and the end of the stream after it. Errors say how far it got.
func (r *reader) document(read func(key *leaf) error) error {
	err := r.documentOnly(read)
	if err != nil {
		return fmt.Errorf("byte %d: %w", r.offset+int64(r.pos), err)
	}
	return nil
}

func (r *reader) documentOnly(read func(key *leaf) error) error {
	switch r.peek() {
	case '{':
		if err := r.each(0, read); err != nil {
			return err
		}
	case 'n': // null holds nothing
		if err := r.skip(0); err != nil {
			return err
		}
	default:
		return r.unexpected()
	}
	if r.peek(); r.pos < len(r.buf) {
		return errMore
	}
	if r.err != io.EOF {
		return r.err
	}
	return nil
}

// value reads one value of any kind.
func (r *reader) value(depth int) (node, error) {
	switch c := r.peek(); {
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.array(depth)
	case c == '"':
		s, err := r.string()
		if err != nil {
			return node{}, err
		}
		return s.node, nil
	case c == '-' || (c >= '0' && c <= '9'):
		return r.number()
	default:
		return r.word(c)
	}
}

func (r *reader) object(depth int) (node, error) {
	base := len(r.members)
	err := r.each(depth, func(key *leaf) error {
		value, err := r.value(depth + 1)
		r.members = append(r.members, member{key, value})
		return err
	})
	members := r.members[base:]
	r.members = r.members[:base]
	if err != nil {
		return node{}, err
	}
	r.objects++
	hash := uint64(len(members))
	r.items = r.items[:0]
	for _, m := range members {
		if m.key.seen == r.objects {
			return node{}, errTwice
		}
		m.key.seen = r.objects
		hash = mix(mix(hash, m.key.id), m.value.id)
		r.items = append(r.items, [2]*ast.Term{m.key.term, m.value.term})
	}
	return r.share(hash, func(t *ast.Term) bool { return sameObject(t, r.items) },
		func() ast.Value { return ast.NewObject(r.items...) }), nil
}

// each calls read for each member of the object that begins here; read has to take its value.
func (r *reader) each(depth int, read func(key *leaf) error) error {
	return r.list(depth, '}', func() error {
		if r.peek() != '"' {
			return r.unexpected()
		}
		key, err := r.string()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.unexpected()
		}
		r.pos++
		return read(key)
	})
}

func (r *reader) array(depth int) (node, error) {
	base := len(r.members)
	err := r.list(depth, ']', func() error {
		value, err := r.value(depth + 1)
		r.members = append(r.members, member{value: value})
		return err
	})
	members := r.members[base:]
	r.members = r.members[:base]
	if err != nil {
		return node{}, err
	}
	hash := ^uint64(len(members)) // so that an array and an object hardly ever collide
	for _, m := range members {
		hash = mix(hash, m.value.id)
	}
	return r.share(hash, func(t *ast.Term) bool { return sameArray(t, members) }, func() ast.Value {
		elements := make([]*ast.Term, len(members))
		for i, m := range members {
			elements[i] = m.value.term
		}
		return ast.NewArray(elements...)
	}), nil
}

// list reads a bracketed list whose elements read takes one by one.
func (r *reader) list(depth int, closing byte, read func() error) error {
	if depth >= maxDepth {
		return errDepth
	}
	r.pos++
	if r.peek() == closing {
		r.pos++
		return nil
	}
	for {
		if err := read(); err != nil {
			return err
		}
		switch r.peek() {
		case ',':
			r.pos++
		case closing:
			r.pos++
			return nil
		default:
			return r.unexpected()
		}
	}
}

// share returns the known value that is the same, or else a new one. Hashes can be forged, so the
// members are compared as well; these are shared already, so comparing pointers is enough.
func (r *reader) share(hash uint64, same func(*ast.Term) bool, build func() ast.Value) node {
	known, ok := r.shared[hash]
	if ok && same(known.term) {
		return known
	}
	made := node{ast.NewTerm(build()), r.nextID()}
	r.shared[hash] = made
	return made
}

func sameObject(t *ast.Term, items [][2]*ast.Term) bool {
	object, ok := t.Value.(ast.Object)
	if !ok || object.Len() != len(items) {
		return false
	}
	for _, item := range items {
		if object.Get(item[0]) != item[1] {
			return false
		}
	}
	return true
}

func sameArray(t *ast.Term, members []member) bool {
	array, ok := t.Value.(*ast.Array)
	if !ok || array.Len() != len(members) {
		return false
	}
	for i, m := range members {
		if array.Elem(i) != m.value.term {
			return false
		}
	}
	return true
}

func (r *reader) nextID() uint64 {
	r.ids++
	return r.ids
}

// mix is a step of a multiplicative hash; the shift lets high bits count in the next step.
func mix(hash, id uint64) uint64 {
	hash = (hash ^ id) * 0x9e3779b97f4a7c15
	return hash ^ hash>>29
}

// skip reads over a value.
func (r *reader) skip(depth int) error {
	switch c := r.peek(); {
	case c == '{':
		return r.list(depth, '}', func() error {
			if r.peek() != '"' {
				return r.unexpected()
			}
			if _, _, err := r.quoted(); err != nil {
				return err
			}
			if r.peek() != ':' {
				return r.unexpected()
			}
			r.pos++
			return r.skip(depth + 1)
		})
	case c == '[':
		return r.list(depth, ']', func() error { return r.skip(depth + 1) })
	case c == '"':
		token, plain, err := r.quoted()
		if err == nil && !plain && !json.Valid(token) {
			err = errSyntax
		}
		return err
	default:
		_, err := r.value(depth)
		return err
	}
}

func (r *reader) string() (*leaf, error) {
	token, plain, err := r.quoted()
	if err != nil {
		return nil, err
	}
	if plain {
		token = token[1 : len(token)-1]
		if known := r.strings[string(token)]; known != nil { // does not allocate
			return known, nil
		}
		return r.newString(string(token)), nil
	}
	var s string
	if err := json.Unmarshal(token, &s); err != nil {
		return nil, err
	}
	if known := r.strings[s]; known != nil {
		return known, nil
	}
	return r.newString(s), nil
}

func (r *reader) newString(s string) *leaf {
	made := &leaf{node: node{ast.StringTerm(s), r.nextID()}}
	r.strings[s] = made
	return made
}

// quoted reads a string token with its quotes, which is valid until the next byte is read. It is
// plain if it means just what it says.
func (r *reader) quoted() (token []byte, plain bool, err error) {
	r.start = r.pos
	plain = true
	for i := r.pos + 1; ; i++ {
		for i >= len(r.buf) {
			done := i - r.start
			if !r.more() {
				r.pos = len(r.buf)
				return nil, false, r.unexpected()
			}
			i = r.start + done
		}
		switch c := r.buf[i]; {
		case c == '"':
			r.pos = i + 1
			return r.buf[r.start:r.pos], plain, nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			r.pos = i
			return nil, false, errSyntax
		case c >= 0x80:
			plain = false
		}
	}
}

func (r *reader) number() (node, error) {
	token := r.token()
	if known := r.numbers[string(token)]; known != nil {
		return known.node, nil
	}
	if !json.Valid(token) {
		return node{}, errSyntax
	}
	made := &leaf{node: node{ast.NumberTerm(json.Number(token)), r.nextID()}}
	r.numbers[string(token)] = made
	return made.node, nil
}

// word reads null, true or false.
func (r *reader) word(c byte) (node, error) {
	if c < 'a' || c > 'z' {
		return node{}, r.unexpected()
	}
	switch string(r.token()) {
	case "null":
		return node{ast.InternedNullTerm, 0}, nil
	case "false":
		return node{ast.InternedTerm(false), 1}, nil
	case "true":
		return node{ast.InternedTerm(true), 2}, nil
	}
	return node{}, errSyntax
}

// token reads the letters, digits and signs that follow.
func (r *reader) token() []byte {
	r.start = r.pos
	for i := r.pos; ; i++ {
		for i >= len(r.buf) {
			done := i - r.start
			if !r.more() {
				r.pos = len(r.buf)
				return r.buf[r.start:]
			}
			i = r.start + done
		}
		switch c := r.buf[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c == '+', c == '-', c == '.', c == 'E':
		default:
			r.pos = i
			return r.buf[r.start:i]
		}
	}
}

// peek returns the next byte that is no space, or 0 at the end.
func (r *reader) peek() byte {
	for {
		for ; r.pos < len(r.buf); r.pos++ {
			switch c := r.buf[r.pos]; c {
			case ' ', '\n', '\r', '\t':
			default:
				return c
			}
		}
		r.start = r.pos
		if !r.more() {
			return 0
		}
	}
}

// unexpected is the error for the next byte, or for the end if there is none.
func (r *reader) unexpected() error {
	switch {
	case r.pos < len(r.buf):
		return errSyntax
	case r.err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return r.err
}

// more reads on and keeps what lies behind start. It reports false at the end and on an error.
func (r *reader) more() bool {
	if r.err != nil {
		return false
	}
	if r.start > 0 {
		kept := copy(r.buf, r.buf[r.start:])
		r.buf = r.buf[:kept]
		r.pos -= r.start
		r.offset += int64(r.start)
		r.start = 0
	}
	if len(r.buf) == cap(r.buf) {
		r.buf = append(r.buf, make([]byte, cap(r.buf))...)[:len(r.buf)]
	}
	for r.err == nil {
		n := 0
		n, r.err = r.from.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			return true
		}
	}
	return false
}
