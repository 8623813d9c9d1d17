import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../gen/grpc/health/v1/health_pb.ts';
import { ServerReflection, type ServerReflectionRequest } from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import { createInstallation, type Installation, refusalOf } from './installation.ts';

let gateway: Installation;
let ready = true;

beforeEach(async () => {
  ready = true;
  gateway = await createInstallation({ readiness: () => ready });
});

afterEach(() => gateway.close());

describe('grpc.health.v1', () => {
  it('answers everybody with the readiness of the process', async () => {
    const client = gateway.as(undefined, Health);
    expect((await client.check({})).status).toBe(Status.SERVING);
    ready = false;
    expect((await client.check({ service: 'portcullis.v1.ToolService' })).status).toBe(Status.NOT_SERVING);
  });

  it('knows no other services', async () => {
    expect(await refusalOf(gateway.as(undefined, Health).check({ service: 'nowhere' }))).toMatchObject({
      code: 'NotFound',
    });
  });

  it('tells a watcher the first status and every change', async () => {
    const watch = gateway.as(undefined, Health).watch({})[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: Status.SERVING });
    ready = false;
    expect((await watch.next()).value).toMatchObject({ status: Status.NOT_SERVING });
  });

  it('tells a watcher of an unknown service that it is unknown', async () => {
    const watch = gateway.as(undefined, Health).watch({ service: 'nowhere' })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: Status.SERVICE_UNKNOWN });
  });
});

describe('grpc.reflection.v1', () => {
  async function ask(messageRequest: ServerReflectionRequest['messageRequest']) {
    async function* requests() {
      yield { host: 'here', messageRequest };
    }
    for await (const response of gateway.as(undefined, ServerReflection).serverReflectionInfo(requests())) {
      return response;
    }
    throw new Error('no answer');
  }

  /** Names of the files in the answer, the one asked for first. */
  async function filesFor(messageRequest: ServerReflectionRequest['messageRequest']): Promise<string[]> {
    const { messageResponse: answer } = await ask(messageRequest);
    return answer.case === 'fileDescriptorResponse'
      ? answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
      : [];
  }

  it.each([
    'portcullis.v1.ToolService',
    'portcullis.v1.ToolService.CallTool',
    'portcullis.v1.CallToolRequest',
    'portcullis.v1.CallToolRequest.arguments',
  ])('finds the file of %s with all it imports', async (symbol) => {
    const files = await filesFor({ case: 'fileContainingSymbol', value: symbol });
    expect(files[0]).toBe('portcullis/v1/tool_service.proto');
    expect(files).toEqual(expect.arrayContaining(['google/protobuf/struct.proto', 'buf/validate/validate.proto']));
  });

  it('finds files by name, also those that only errors use', async () => {
    const value = 'portcullis/v1/error_reason.proto';
    expect(await filesFor({ case: 'fileByFilename', value })).toEqual([value]);
    const errorInfo = await filesFor({ case: 'fileContainingSymbol', value: 'google.rpc.ErrorInfo' });
    expect(errorInfo[0]).toBe('google/rpc/error_details.proto');
  });

  it('finds extensions', async () => {
    const containingType = 'google.protobuf.MethodOptions';
    const { messageResponse } = await ask({ case: 'allExtensionNumbersOfType', value: containingType });
    expect(messageResponse.value).toMatchObject({ baseTypeName: containingType, extensionNumber: [50101] });
    const files = await filesFor({
      case: 'fileContainingExtension',
      value: { containingType, extensionNumber: 50101 } as never,
    });
    expect(files[0]).toBe('portcullis/v1/access.proto');
  });

  it.each([
    { case: 'fileByFilename', value: 'nowhere.proto' },
    { case: 'fileContainingSymbol', value: 'portcullis.v1.Nothing' },
    { case: 'fileContainingSymbol', value: 'portcullis.v1.ToolService.Nothing' },
    { case: 'allExtensionNumbersOfType', value: 'portcullis.v1.Nothing' },
  ] as const)('says that $value is not known', async (question) => {
    const { messageResponse, validHost } = await ask(question);
    expect(messageResponse).toMatchObject({ case: 'errorResponse', value: { errorCode: 5 } });
    expect(validHost).toBe('here');
  });
});
