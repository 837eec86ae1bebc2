// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package fence

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What goes through the pipes: a byte that says what, four bytes of length (big-endian),
// and the content. The first frame is the limits; then each question is answered by any
// number of frameDoing and one frameAnswer or frameFailed.
const (
	frameLimits   = 'l' // Limits as JSON
	frameQuestion = 'q'
	frameDoing    = 'd' // the definition that is evaluated next
	frameAnswer   = 'a'
	frameFailed   = 'f' // why there is no answer
)

var errTooLarge = errors.New("the frame is too large")

func writeFrame(w io.Writer, kind byte, data []byte) error {
	frame := make([]byte, 0, 5+len(data))
	frame = append(frame, kind)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(data)))
	_, err := w.Write(append(frame, data...))
	return err
}

// readFrame refuses a frame of more than most bytes before it reads it.
func readFrame(r io.Reader, most int) (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if int64(size) > int64(most) {
		return 0, nil, errTooLarge
	}
	data = make([]byte, size)
	_, err = io.ReadFull(r, data)
	return head[0], data, err
}

func writeLimits(w io.Writer, l Limits) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return writeFrame(w, frameLimits, raw)
}

func readLimits(r io.Reader) (Limits, error) {
	var l Limits
	kind, raw, err := readFrame(r, 1<<10)
	if err != nil {
		return l, err
	}
	if kind != frameLimits {
		return l, fmt.Errorf("got a frame %q before the limits", kind)
	}
	return l, json.Unmarshal(raw, &l)
}
