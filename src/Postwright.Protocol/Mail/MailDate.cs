using System.Globalization;

namespace Postwright.Protocol.Mail;

/// <summary>Dates of headers (RFC 5322, 3.3), with the zone's name as a comment, as Postfix writes them.</summary>
public static class MailDate
{
    /// <summary>
    /// Such as <c>Sun, 29 Nov 2026 11:48:17 +0000 (UTC)</c>. The day has two digits, as in Postfix since 3.9.
    /// </summary>
    public static string Format(DateTimeOffset time, TimeZoneInfo zone)
    {
        DateTimeOffset local = TimeZoneInfo.ConvertTime(time, zone);
        int minutes = (int)local.Offset.TotalMinutes;
        string name = zone.HasSameRules(TimeZoneInfo.Utc) ? "UTC" : zone.IsDaylightSavingTime(local) ? zone.DaylightName : zone.StandardName;

        // A zone's long name would make a header of untold length; abbreviations only.
        string comment = name.Length is > 0 and <= 6 && name.All(char.IsAsciiLetterOrDigit) ? $" ({name})" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{local:ddd, dd MMM yyyy HH:mm:ss} {(minutes < 0 ? '-' : '+')}{Math.Abs(minutes) / 60:00}{Math.Abs(minutes) % 60:00}{comment}");
    }
}
