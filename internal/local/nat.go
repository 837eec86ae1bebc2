// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// natRules is the machine's one table of an instance. The node and its Pods go out under
// the machine's address; nothing but the machine itself and answers comes in, also now
// that the machine forwards packets.
func natRules(l layout, a Addresses) string {
	return fmt.Sprintf(`
table ip %[1]s
delete table ip %[1]s
table ip %[1]s {
	chain out {
		type nat hook postrouting priority srcnat;
		ip saddr { %[3]s, %[4]s } oifname != "%[2]s" masquerade
	}
	chain in {
		type filter hook forward priority filter;
		oifname "%[2]s" ct state established,related accept
		oifname "%[2]s" drop
	}
}
`, l.nftTable(), l.hostLink(), a.Link.Masked(), a.Pods)
}

func setNAT(l layout, a Addresses) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(natRules(l, a))
	if err := run(cmd); err != nil {
		return fmt.Errorf("setting the nft table %s: %w", l.nftTable(), err)
	}
	return nil
}

func removeNAT(l layout) error {
	// "destroy" of newer nft would not mind a missing table; this is the same in
	// one transaction.
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("table ip %[1]s\ndelete table ip %[1]s\n", l.nftTable()))
	if err := run(cmd); err != nil && !errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("removing the nft table %s: %w", l.nftTable(), err)
	}
	return nil
}

// lastLines are the last n lines of a program's output.
func lastLines(out []byte, n int) string {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
