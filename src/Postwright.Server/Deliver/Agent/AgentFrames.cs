using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// What is in the frames between mail and agent (docs/adr/0002-agent-frames.md): a version byte, then fields in a fixed order;
/// numbers are big-endian, texts are UTF-8 behind a length. Reading checks every length against what is there and every count
/// against a limit; what is left over is an error too. Anything wrong is an <see cref="InvalidDataException"/>.
/// </summary>
internal static class AgentFrames
{
    /// <summary>Content up to this size travels inside the request; the same as spool_inline_limit's default.</summary>
    public const int InlineLimit = 128 * 1024;

    /// <summary>A request: inline content, and as many recipients as destination_recipient_limit sanely allows.</summary>
    public const int RequestLimit = 4 * 1024 * 1024;

    /// <summary>An answer: the longest expansion.</summary>
    public const int AnswerLimit = 64 * 1024 * 1024;

    /// <summary>Recipients of one request.</summary>
    public const int RecipientLimit = 10_000;

    private const byte Version = 1;

    /// <summary>A request's frame; content that is not inline goes beside it as a descriptor, from an offset on.</summary>
    public static byte[] Encode(AgentRequest request, ReadOnlySpan<byte> inline, bool hasFile, long fileOffset)
    {
        var writer = new FrameWriter();
        writer.Byte(Version);
        writer.Text(request.Service);
        writer.Text(request.QueueId);
        writer.Text(request.Sender);
        writer.Text(request.Origin.ClientName);
        writer.Text(request.Origin.ClientAddress);
        writer.Text(request.Origin.ClientPort);
        writer.Text(request.Origin.Helo);
        writer.Text(request.Origin.Protocol);
        writer.Text(request.EnvelopeId);
        writer.Number(request.Recipients.Count);
        foreach (AgentRecipient recipient in request.Recipients)
        {
            writer.Number(recipient.Index);
            writer.Text(recipient.Address);
            writer.Text(recipient.OriginalAddress);
            writer.Text(recipient.Via);
            writer.Byte((byte)recipient.Notify);
            writer.Text(recipient.DsnOriginalRecipient);
        }

        writer.Byte(hasFile ? (byte)1 : (byte)0);
        writer.Long(request.Content.Length);
        writer.Long(fileOffset);
        writer.Bytes(inline);
        return writer.ToArray();
    }

    /// <summary>Reads a request. The descriptor is taken over, whatever happens.</summary>
    /// <exception cref="InvalidDataException">Not a request of this version.</exception>
    public static AgentRequest Decode(byte[] frame, SafeFileHandle? file)
    {
        try
        {
            var reader = new FrameReader(frame);
            reader.Check(reader.Byte() == Version, "version");
            string service = reader.Text();
            string queueId = reader.Text();
            string sender = reader.Text();
            var origin = new MessageOrigin(reader.Text(), reader.Text(), reader.Text(), reader.Text(), reader.Text());
            string envelopeId = reader.Text();
            var recipients = new AgentRecipient[reader.Count(RecipientLimit)];
            for (int i = 0; i < recipients.Length; i++)
            {
                recipients[i] = new AgentRecipient(
                    reader.Number(), reader.Text(), reader.Text(), reader.Text(), (DsnNotify)reader.Byte(), reader.Text());
            }

            bool hasFile = reader.Byte() == 1;
            long length = reader.Long();
            long offset = reader.Long();
            ReadOnlyMemory<byte> inline = reader.Bytes();
            reader.Check(reader.IsAtEnd && hasFile == (file is not null), "end");
            reader.Check(length >= 0 && offset >= 0 && offset <= long.MaxValue - length && (hasFile ? inline.IsEmpty : inline.Length == length), "content");
            reader.Check(file is null || IsRegular(file), "descriptor");
            AgentContent content = file is null ? new MemoryAgentContent(inline) : new FileAgentContent(file, offset, length);
            return new AgentRequest
            {
                Service = service,
                QueueId = queueId,
                Sender = sender,
                Origin = origin,
                EnvelopeId = envelopeId,
                Recipients = recipients,
                Content = content,
            };
        }
        catch
        {
            file?.Dispose();
            throw;
        }
    }

    // Only a regular file can be read without waiting for anybody.
    private static bool IsRegular(SafeFileHandle file)
        => DeliveryFile.Stat((int)file.DangerousGetHandle(), out FileFacts facts) >= 0 && facts.IsRegular;

    /// <summary>An answer's frame.</summary>
    public static byte[] Encode(IReadOnlyList<RecipientResult> results)
    {
        var writer = new FrameWriter();
        writer.Byte(Version);
        writer.Number(results.Count);
        foreach (RecipientResult result in results)
        {
            writer.Number(result.Index);
            writer.Byte((byte)result.Status);
            writer.Text(result.Dsn);
            writer.Text(result.Reason);
            writer.Text(result.Relay);
            writer.Text(result.LoggedAddress ?? "");
            writer.Byte(result.NewSender is null ? (byte)0 : (byte)1);
            writer.Text(result.NewSender ?? "");
            writer.Number(result.Into.Count);
            foreach (EnvelopeRecipient recipient in result.Into)
            {
                writer.Text(recipient.Address);
                writer.Text(recipient.OriginalAddress);
                writer.Byte((byte)recipient.Notify);
                writer.Text(recipient.DsnOriginalRecipient);
                writer.Text(recipient.Via);
            }
        }

        return writer.ToArray();
    }

    /// <summary>Reads an answer.</summary>
    /// <exception cref="InvalidDataException">Not an answer of this version.</exception>
    public static IReadOnlyList<RecipientResult> DecodeAnswer(byte[] frame)
    {
        var reader = new FrameReader(frame);
        reader.Check(reader.Byte() == Version, "version");
        var results = new RecipientResult[reader.Count(RecipientLimit)];
        for (int i = 0; i < results.Length; i++)
        {
            int index = reader.Number();
            byte status = reader.Byte();
            reader.Check(status <= (byte)DeliveryStatus.Expanded, "status");
            var result = new RecipientResult(index, (DeliveryStatus)status, reader.Text(), reader.Text(), reader.Text());
            string logged = reader.Text();
            bool hasSender = reader.Byte() == 1;
            string sender = reader.Text();
            var into = new EnvelopeRecipient[reader.Count(Local.Expansion.MemberLimit)];
            for (int j = 0; j < into.Length; j++)
            {
                into[j] = new EnvelopeRecipient(reader.Text(), reader.Text(), (DsnNotify)reader.Byte(), reader.Text()) { Via = reader.Text() };
            }

            results[i] = result with { LoggedAddress = logged.Length == 0 ? null : logged, NewSender = hasSender ? sender : null, Into = into };
        }

        reader.Check(reader.IsAtEnd, "end");
        return results;
    }

    private sealed class FrameWriter
    {
        private readonly ArrayBufferWriter<byte> _bytes = new(1024);

        public void Byte(byte value) => _bytes.Write([value]);

        public void Number(int value)
        {
            BinaryPrimitives.WriteInt32BigEndian(_bytes.GetSpan(4), value);
            _bytes.Advance(4);
        }

        public void Long(long value)
        {
            BinaryPrimitives.WriteInt64BigEndian(_bytes.GetSpan(8), value);
            _bytes.Advance(8);
        }

        public void Bytes(ReadOnlySpan<byte> value)
        {
            Number(value.Length);
            _bytes.Write(value);
        }

        public void Text(string value) => Bytes(Encoding.UTF8.GetBytes(value));

        public byte[] ToArray() => _bytes.WrittenSpan.ToArray();
    }

    private struct FrameReader(ReadOnlyMemory<byte> rest)
    {
        private ReadOnlyMemory<byte> _rest = rest;

        public readonly bool IsAtEnd => _rest.IsEmpty;

        public readonly void Check(bool condition, string what)
        {
            if (!condition)
            {
                throw new InvalidDataException($"malformed frame: {what}");
            }
        }

        public byte Byte() => Take(1).Span[0];

        public int Number() => BinaryPrimitives.ReadInt32BigEndian(Take(4).Span);

        public long Long() => BinaryPrimitives.ReadInt64BigEndian(Take(8).Span);

        public int Count(int limit)
        {
            int count = Number();

            // Every element has at least one byte.
            Check(count >= 0 && count <= limit && count <= _rest.Length, "count");
            return count;
        }

        public ReadOnlyMemory<byte> Bytes() => Take(Number());

        public string Text() => Encoding.UTF8.GetString(Bytes().Span);

        private ReadOnlyMemory<byte> Take(int count)
        {
            Check(count >= 0 && count <= _rest.Length, "length");
            ReadOnlyMemory<byte> taken = _rest[..count];
            _rest = _rest[count..];
            return taken;
        }
    }
}
