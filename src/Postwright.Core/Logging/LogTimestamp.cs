using System.Text;

namespace Postwright.Core.Logging;

/// <summary>
/// The time in front of a log line, <c>Nov 29 11:48:13 </c> in local time, month names in English whatever the locale, as
/// log readers expect. Made once a second and kept.
/// </summary>
internal sealed class LogTimestamp(TimeProvider clock)
{
    private const string Months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    private readonly byte[] _text = new byte[16];
    private long _second = long.MinValue;

    /// <summary>Bytes that <see cref="Write"/> puts down.</summary>
    public const int Length = 16;

    /// <summary>Puts the present time into <paramref name="buffer"/>.</summary>
    public void Write(Span<byte> buffer)
    {
        DateTimeOffset now = clock.GetUtcNow();
        long second = now.Ticks / TimeSpan.TicksPerSecond;
        if (second != _second)
        {
            DateTimeOffset local = TimeZoneInfo.ConvertTime(now, clock.LocalTimeZone);
            string text = string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"{Months.AsSpan((local.Month - 1) * 3, 3)} {local.Day:00} {local.Hour:00}:{local.Minute:00}:{local.Second:00} ");
            Encoding.ASCII.GetBytes(text, _text);
            _second = second;
        }

        _text.CopyTo(buffer);
    }
}
