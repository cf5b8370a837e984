using Microsoft.Win32.SafeHandles;
using Postwright.Core.Posix;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// What is in the frames between mail and agent (docs/adr/0002-agent-frames.md): a version byte, the kind, then fields in a
/// fixed order; numbers are big-endian, texts are UTF-8 behind a length. Reading checks every length against what is there and every count
/// against a limit; what is left over is an error too. Anything wrong is an <see cref="InvalidDataException"/>.
/// </summary>
internal static class AgentFrames
{
    /// <summary>Content up to this size travels inside the request; the same as spool_inline_limit's default.</summary>
    public const int InlineLimit = 128 * 1024;

    /// <summary>A request: inline content, and recipients; a delivery to more of them is several requests.</summary>
    public const int RequestLimit = 4 * 1024 * 1024;

    /// <summary>An answer: the longest expansion.</summary>
    public const int AnswerLimit = 64 * 1024 * 1024;

    /// <summary>Recipients of one request; a delivery to more of them is several requests.</summary>
    public const int RecipientLimit = 10_000;

    private const byte Version = 2;

    /// <summary>The beginning of a frame.</summary>
    public static FrameWriter Begin(FrameKind kind)
    {
        var writer = new FrameWriter();
        writer.Byte(Version);
        writer.Byte((byte)kind);
        return writer;
    }

    /// <summary>True for a frame that begins as one of that kind does; the rest is not looked at.</summary>
    public static bool Is(FrameKind kind, ReadOnlySpan<byte> frame) => frame.Length > 1 && frame[0] == Version && frame[1] == (byte)kind;

    /// <summary>What follows the beginning of a frame.</summary>
    /// <exception cref="InvalidDataException">Another version, or another kind.</exception>
    public static FrameReader Open(byte[] frame, FrameKind kind)
    {
        var reader = new FrameReader(frame);
        reader.Check(reader.Byte() == Version, "version");
        reader.Check(reader.Byte() == (byte)kind, "kind");
        return reader;
    }

    /// <summary>A request's frame; content that is not inline goes beside it as a descriptor, from an offset on.</summary>
    public static byte[] Encode(AgentRequest request, ReadOnlySpan<byte> inline, bool hasFile, long fileOffset)
    {
        FrameWriter writer = Begin(FrameKind.Delivery);
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
            FrameReader reader = Open(frame, FrameKind.Delivery);
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
        FrameWriter writer = Begin(FrameKind.Results);
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
        FrameReader reader = Open(frame, FrameKind.Results);
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
}

/// <summary>What a frame is.</summary>
internal enum FrameKind : byte
{
    /// <summary>Mail has something to deliver.</summary>
    Delivery = 1,

    /// <summary>The agent has done it.</summary>
    Results = 2,

    /// <summary>The agent, meanwhile, wants to know what a table on a server says.</summary>
    Question = 3,

    /// <summary>Mail says it.</summary>
    Answer = 4,
}
