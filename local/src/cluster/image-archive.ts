/** Small images packed by hand as OCI archives, such as that of the program that holds a pod's namespaces. */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';

export interface TarEntry {
  /** Without a leading `/`. */
  readonly name: string;
  readonly content: Buffer;
  readonly mode: number;
}

/** A ustar archive of plain files (names of at most 100 bytes), the same bytes for the same input. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap(({ name, content, mode }) => [
    tarHeader(name, content.length, mode),
    content,
    Buffer.alloc(-content.length & 511),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function tarHeader(name: string, size: number, mode: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(octal(mode, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

/** An OCI image archive with these files in its only layer. */
export function imageArchive(reference: string, files: readonly TarEntry[], command: readonly string[]): Buffer {
  const layer = blob(tar(files), 'application/vnd.oci.image.layer.v1.tar');
  const config = jsonBlob('application/vnd.oci.image.config.v1+json', {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Entrypoint: command, User: '65535:65535' },
    rootfs: { type: 'layers', diff_ids: [layer.descriptor.digest] },
  });
  const manifest = jsonBlob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: config.descriptor,
    layers: [layer.descriptor],
  });
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest.descriptor, annotations: { 'io.containerd.image.name': reference } }],
  };
  return tar([
    plainFile('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')),
    plainFile('index.json', Buffer.from(JSON.stringify(index))),
    ...[layer, config, manifest].map(({ content, descriptor }) =>
      plainFile(`blobs/sha256/${descriptor.digest.slice('sha256:'.length)}`, content),
    ),
  ]);
}

function plainFile(name: string, content: Buffer): TarEntry {
  return { name, content, mode: 0o644 };
}

interface Blob {
  readonly content: Buffer;
  readonly descriptor: { readonly mediaType: string; readonly digest: string; readonly size: number };
}

function blob(content: Buffer, mediaType: string): Blob {
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  return { content, descriptor: { mediaType, digest, size: content.length } };
}

function jsonBlob(mediaType: string, value: object): Blob {
  return blob(Buffer.from(JSON.stringify(value)), mediaType);
}

/** Writes the image whose only file is the statically linked `program` to `archive`. */
export async function writePauseImage(reference: string, program: string, archive: string): Promise<void> {
  const files = [{ name: 'pause', content: await readFile(program), mode: 0o755 }];
  await writeFile(archive, imageArchive(reference, files, ['/pause']));
}
