using System.Buffers;
using System.Text;
using Postwright.Protocol.Mail;
using Postwright.Server.Deliver.Agent;

namespace Postwright.Server.Deliver.Local;

/// <summary>Loop control: who has had this message already, according to the Delivered-To: headers in front of its body.</summary>
internal static class DeliveredHeaders
{
    // Headers end long before; a message without an empty line is not searched through to its end.
    private const int SearchLimit = 1 << 20;
    private static readonly byte[] Name = "delivered-to:"u8.ToArray();

    /// <summary>True when a Delivered-To: header names the address (in any case).</summary>
    /// <exception cref="IOException">The message could not be read.</exception>
    public static bool Contain(AgentContent content, string address)
    {
        if (content.TryGetMemory(out ReadOnlyMemory<byte> bytes))
        {
            return Search(bytes.Span, address);
        }

        int length = (int)Math.Min(content.Length, SearchLimit);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            int used = 0;
            while (used < length && buffer.AsSpan(0, used).IndexOf("\r\n\r\n"u8) < 0)
            {
                int count = content.Read(used, buffer.AsSpan(used, Math.Min(length - used, 64 * 1024)));
                if (count == 0)
                {
                    break;
                }

                used += count;
            }

            return Search(buffer.AsSpan(0, used), address);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool Search(ReadOnlySpan<byte> bytes, string address)
    {
        string quoted = AddressText.ToExternal(address);
        while (!bytes.IsEmpty)
        {
            int end = bytes.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = (end < 0 ? bytes : bytes[..end]).TrimEnd((byte)'\r');
            if (line.IsEmpty)
            {
                return false;
            }

            if ((line[0] | 0x20) == 'd' && line.Length > Name.Length && Ascii.EqualsIgnoreCase(line[..Name.Length], Name))
            {
                string value = Encoding.UTF8.GetString(line[Name.Length..]).Trim();
                if (value.Equals(quoted, StringComparison.OrdinalIgnoreCase) || value.Equals(address, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }

            bytes = end < 0 ? default : bytes[(end + 1)..];
        }

        return false;
    }
}
