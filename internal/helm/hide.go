// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// hidden stands in a message where a secret stood.
const hidden = "(hidden)"

// leastSecret is the length, in bytes, under which a value is too common a word to be replaced.
const leastSecret = 4

// secrets are the values of a Release that came from Secrets. A chart's template or schema may
// quote any value in its error, and so may the API server; what a person reads of such an
// error (condition, event, log, Helm's record) goes through hide first.
type secrets struct{ words []string }

// read keeps what a key of a Secret holds: the values in it when it is a YAML mapping, else all of it.
func (s *secrets) read(data string) {
	var values map[string]any
	if err := yaml.Unmarshal([]byte(data), &values); err == nil && values != nil {
		s.add(values)
		return
	}
	s.add(data)
}

// add keeps every text and number in a value of merged YAML, in the spellings in which an error may
// quote it.
func (s *secrets) add(value any) {
	switch v := value.(type) {
	case string:
		s.word(v)
		s.word(strings.TrimSpace(v))
		if lines := strings.Split(v, "\n"); len(lines) > 1 {
			for _, line := range lines {
				s.word(strings.TrimSpace(line))
			}
		}
	case float64:
		s.word(strconv.FormatFloat(v, 'f', -1, 64))
	case map[string]any:
		for _, inner := range v {
			s.add(inner)
		}
	case []any:
		for _, inner := range v {
			s.add(inner)
		}
	}
}

func (s *secrets) word(w string) {
	if len(w) < leastSecret {
		return
	}
	quoted := strconv.Quote(w)
	s.words = append(s.words, w, quoted[1:len(quoted)-1], base64.StdEncoding.EncodeToString([]byte(w)))
}

// hide replaces the secrets in a text, the longest first. A nil s hides nothing.
func (s *secrets) hide(text string) string {
	if s == nil || text == "" {
		return text
	}
	slices.SortFunc(s.words, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	s.words = slices.Compact(s.words)
	for _, w := range s.words {
		text = strings.ReplaceAll(text, w, hidden)
	}
	return text
}

// hideIn returns err with the secrets in its message hidden; what it wraps stays to be found.
func (s *secrets) hideIn(err error) error {
	if err == nil || s.hide(err.Error()) == err.Error() {
		return err
	}
	return &hiddenError{message: s.hide(err.Error()), err: err}
}

// hiddenError shows another message than the error that it wraps.
type hiddenError struct {
	message string
	err     error
}

func (e *hiddenError) Error() string { return e.message }
func (e *hiddenError) Unwrap() error { return e.err }
