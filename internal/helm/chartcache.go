// Copyright The Skerry Authors.
// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"container/list"
	"sync"
	"time"
)

const (
	// mostCached bounds the memory of cached packages, in bytes.
	mostCached = 64 << 20
	// indexLifetime is how long a repository's index is believed.
	indexLifetime = 5 * time.Minute
)

// chartCache keeps packages by the digest of their content, so that two sources can
// never be mistaken for each other because their files have one name. An
// address only leads to a digest.
type chartCache struct {
	mu       sync.Mutex
	digests  map[string]string        // cacheKey to digest
	packages map[string]*list.Element // digest to *chartPackage
	recent   *list.List               // most recently used first
	bytes    int
	indexes  map[string]cachedIndex // cacheKey
}

// cachedIndex is a repository's index, read at a time.
type cachedIndex struct {
	index repositoryIndex
	read  time.Time
}

func newChartCache() *chartCache {
	return &chartCache{
		digests:  map[string]string{},
		packages: map[string]*list.Element{},
		recent:   list.New(),
		indexes:  map[string]cachedIndex{},
	}
}

// packageAt returns the package of a key, fetching it when it is not there.
func (c *chartCache) packageAt(key string, fetch func() (*chartPackage, error)) (*chartPackage, error) {
	if pkg := c.lookup(key); pkg != nil {
		return pkg, nil
	}
	pkg, err := fetch()
	if err != nil {
		return nil, err
	}
	c.keep(key, pkg)
	return pkg, nil
}

func (c *chartCache) lookup(key string) *chartPackage {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.packages[c.digests[key]]
	if !ok {
		return nil
	}
	c.recent.MoveToFront(element)
	return element.Value.(*chartPackage)
}

// keep stores a package and drops the least recently used ones over the limit.
func (c *chartCache) keep(key string, pkg *chartPackage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.digests[key] = pkg.Digest
	if _, ok := c.packages[pkg.Digest]; !ok {
		c.packages[pkg.Digest] = c.recent.PushFront(pkg)
		c.bytes += pkg.size()
	}
	for c.bytes > mostCached && c.recent.Len() > 1 {
		oldest := c.recent.Remove(c.recent.Back()).(*chartPackage)
		c.bytes -= oldest.size()
		delete(c.packages, oldest.Digest)
		for key, digest := range c.digests {
			if digest == oldest.Digest {
				delete(c.digests, key)
			}
		}
	}
}

// indexAt returns the index of a key, fetching it when it is missing or old.
func (c *chartCache) indexAt(key string, now time.Time, fetch func() (repositoryIndex, error)) (repositoryIndex, error) {
	c.mu.Lock()
	cached, ok := c.indexes[key]
	c.mu.Unlock()
	if ok && now.Sub(cached.read) < indexLifetime {
		return cached.index, nil
	}
	index, err := fetch()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, entry := range c.indexes {
		if now.Sub(entry.read) >= indexLifetime {
			delete(c.indexes, other)
		}
	}
	c.indexes[key] = cachedIndex{index: index, read: now}
	return index, nil
}
