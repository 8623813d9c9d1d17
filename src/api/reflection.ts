import { create, type DescFile } from '@bufbuild/protobuf';
import { Code, type ServiceImpl } from '@connectrpc/connect';
import {
  type ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from '../../gen/grpc/reflection/v1/reflection_pb.ts';
import type { SchemaFiles } from './schema-files.ts';

type Answer = ServerReflectionResponse['messageResponse'];

/** Serves grpc.reflection.v1, so that `buf curl` and the like need no schema file. */
export function createReflectionService(schema: SchemaFiles): ServiceImpl<typeof ServerReflection> {
  return {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const messageResponse = answer(schema, request);
        yield create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse,
        });
      }
    },
  };
}

function answer(schema: SchemaFiles, { messageRequest: asked }: ServerReflectionRequest): Answer {
  switch (asked.case) {
    case 'listServices':
      return respond({ case: 'listServicesResponse', value: { service: schema.services.map((name) => ({ name })) } });
    case 'fileByFilename':
      return sendFile(schema, schema.findFile(asked.value), `file "${asked.value}"`);
    case 'fileContainingSymbol':
      return sendFile(schema, schema.findFileOf(asked.value), `symbol "${asked.value}"`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = asked.value;
      const file = schema.findExtensionFile(containingType, extensionNumber);
      return sendFile(schema, file, `extension ${extensionNumber} of "${containingType}"`);
    }
    case 'allExtensionNumbersOfType': {
      const extensionNumber = schema.findExtensionNumbers(asked.value);
      return extensionNumber === undefined
        ? notFound(`type "${asked.value}"`)
        : respond({
            case: 'allExtensionNumbersResponse',
            value: { baseTypeName: asked.value, extensionNumber: [...extensionNumber] },
          });
    }
    default:
      return fail(Code.InvalidArgument, 'the request asks for nothing that is known');
  }
}

function sendFile(schema: SchemaFiles, file: DescFile | undefined, what: string): Answer {
  if (file === undefined) {
    return notFound(what);
  }
  return respond({ case: 'fileDescriptorResponse', value: { fileDescriptorProto: [...schema.closureOf(file)] } });
}

function notFound(what: string): Answer {
  return fail(Code.NotFound, `${what} is not known`);
}

function fail(errorCode: Code, errorMessage: string): Answer {
  return respond({ case: 'errorResponse', value: { errorCode, errorMessage } });
}

type AnswerInit = NonNullable<Parameters<typeof create<typeof ServerReflectionResponseSchema>>[1]>['messageResponse'];

function respond(messageResponse: NonNullable<AnswerInit>): Answer {
  return create(ServerReflectionResponseSchema, { messageResponse }).messageResponse;
}
