namespace Postwright.Core.Tests.Configuration;

/// <summary>Whose settings in main.cf, and in files of their own, postconf takes for those of tables on servers.</summary>
public sealed class DatabaseClientTests
{
    [Theory]
    [InlineData("ldap:users", "users_search_base = x")]
    [InlineData("proxy:ldap:users{ttl=30s, timeout=5s}", "users_search_base = x")]
    [InlineData("mysql:users{connections=2}", "users_hosts = x")]
    [InlineData("redis:users", "users_key_format = %s")]
    [InlineData("redis:users{ttl=1h}", "users_tls = yes")]
    [InlineData("http:users", "users_json_path = x")]
    public void Settings_of_a_table_that_main_cf_names_are_used(string table, string setting)
    {
        (string output, string errors) = Show($"transport_maps = {table}\n{setting}\nusers_nosuch = 1\n");
        Assert.Contains(setting, output, StringComparison.Ordinal);
        string warning = Assert.Single(errors.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.EndsWith("main.cf: unused parameter: users_nosuch=1", warning, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pgsql", "")]
    [InlineData("pgsql", "{ttl=30s}")]
    [InlineData("redis", "{connections=1}")]
    public void A_file_of_settings_is_read_whatever_options_stand_behind_its_name(string type, string options)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, "hosts = a\nnosuch = 1\n");
            (_, string errors) = Show($"transport_maps = {type}:{file}{options}\n");
            Assert.Equal($"postconf: warning: {type}:{file}: unused parameter: nosuch=1\n", errors);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static (string Output, string Errors) Show(string mainCf)
    {
        string folder = PostconfHarness.TemporaryFolder();
        try
        {
            File.WriteAllText(Path.Combine(folder, "main.cf"), "compatibility_level = 3.6\n" + mainCf);
            File.WriteAllText(Path.Combine(folder, "master.cf"), "");
            PostconfHarness.Result result = PostconfHarness.Ours("postconf", "-c", folder, "-n");
            return (result.Output, result.Errors);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
