import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { run } from '../exec.ts';
import { imageConfig, imageIndex, packFolder, packPushed } from './oci.ts';

const MANIFEST = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: 'sha256:aa', size: 2 };

async function folderOf(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'oci-test-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

interface Blob {
  digest: string;
  size: number;
}

/** Unpacks an archive and returns what is in it by following the digests, each of which it checks. */
async function unpack(archive: string, folder: string): Promise<{ refs: string[]; configs: unknown[]; tars: Buffer[] }> {
  await mkdir(folder);
  await run('tar', ['--extract', '--file', archive, '--directory', folder]);
  const blob = async (wanted: Blob): Promise<Buffer> => {
    const bytes = await readFile(join(folder, 'blobs', ...wanted.digest.split(':')));
    assert.deepEqual({ digest: digest(bytes), size: bytes.length }, { digest: wanted.digest, size: wanted.size });
    return bytes;
  };
  const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as {
    manifests: (Blob & { annotations: Record<string, string> })[];
  };
  const result = { refs: [] as string[], configs: [] as unknown[], tars: [] as Buffer[] };
  for (const entry of index.manifests) {
    const manifest = JSON.parse((await blob(entry)).toString()) as { config: Blob; layers: Blob[] };
    const config = JSON.parse((await blob(manifest.config)).toString()) as { config: unknown; rootfs: { diff_ids: string[] } };
    const tars = await Promise.all(manifest.layers.map(async (layer) => zstdDecompressSync(await blob(layer))));
    assert.deepEqual(tars.map(digest), config.rootfs.diff_ids);
    result.refs.push(entry.annotations['io.containerd.image.name'] ?? '');
    result.configs.push(config.config);
    result.tars.push(...tars);
  }
  return result;
}

test('a configuration has no time of packing in it', () => {
  assert.deepEqual(imageConfig('sha256:bb', { User: '1' }), imageConfig('sha256:bb', { User: '1' }));
});

test('each name is an entry of the index, spelt out for containerd and for other tools', () => {
  const index = imageIndex([
    { ref: 'docker.io/library/a:1', manifest: MANIFEST },
    { ref: 'docker.io/library/b:1', manifest: MANIFEST },
  ]) as { manifests: { annotations: Record<string, string> }[] };
  assert.deepEqual(
    index.manifests.map(({ annotations }) => Object.values(annotations)),
    [Array(2).fill('docker.io/library/a:1'), Array(2).fill('docker.io/library/b:1')],
  );
});

test('a folder becomes one layer of several images, without what the runtime mounts', async (context) => {
  const folder = await folderOf(context);
  for (const name of ['etc', 'dev']) await mkdir(join(folder, 'root', name), { recursive: true });
  await writeFile(join(folder, 'root', 'etc', 'issue'), 'hello');
  await writeFile(join(folder, 'root', 'dev', 'null'), '');
  const images = [
    { refs: ['docker.io/library/a:1', 'docker.io/library/b:1'], settings: { Env: ['PATH=/bin'] } },
    { refs: ['docker.io/library/c:1'], settings: { StopSignal: 'SIGINT' } },
  ];
  await packFolder(join(folder, 'root'), images, join(folder, 'out.tar'));
  const { refs, configs, tars } = await unpack(join(folder, 'out.tar'), join(folder, 'unpacked'));
  assert.deepEqual(refs, ['docker.io/library/a:1', 'docker.io/library/b:1', 'docker.io/library/c:1']);
  assert.deepEqual(configs, [{ Env: ['PATH=/bin'] }, { Env: ['PATH=/bin'] }, { StopSignal: 'SIGINT' }]);
  await writeFile(join(folder, 'layer.tar'), tars[0] ?? '');
  const { stdout } = await run('tar', ['--list', '--file', join(folder, 'layer.tar')]);
  assert.deepEqual(stdout.trim().split('\n'), ['./', './dev/', './etc/', './etc/issue']);
});

test('pushed images keep their configuration, and layers they share are compressed once', async (context) => {
  const folder = await folderOf(context);
  const layer = Buffer.from('not really a tar');
  const pushed = await Promise.all(
    ['a', 'b'].map(async (name) => {
      const config = Buffer.from(JSON.stringify({ config: { Cmd: [name] }, rootfs: { diff_ids: [digest(layer)] } }));
      const image = join(folder, name);
      await mkdir(image);
      for (const blob of [layer, config]) await writeFile(join(image, digest(blob).slice('sha256:'.length)), blob);
      const manifest = { config: { digest: digest(config) }, layers: [{ digest: digest(layer) }] };
      await writeFile(join(image, 'manifest.json'), JSON.stringify(manifest));
      return { ref: `docker.io/ours/${name}:1`, folder: image };
    }),
  );
  await packPushed(pushed, join(folder, 'layers'), join(folder, 'out.tar'));
  const { refs, configs, tars } = await unpack(join(folder, 'out.tar'), join(folder, 'unpacked'));
  assert.deepEqual(refs, ['docker.io/ours/a:1', 'docker.io/ours/b:1']);
  assert.deepEqual(configs, [{ Cmd: ['a'] }, { Cmd: ['b'] }]);
  assert.deepEqual(tars, [layer, layer]);
});
